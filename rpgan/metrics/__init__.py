"""Measures of images: functions of features or pixels; the network that makes the features is an argument."""
