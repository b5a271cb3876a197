"""Sweeps: the same training at many settings and seeds, scored alike, as one table.

Every trial is a run directory `runs/PROFILE/trials/POINT` (see `rpgan.training.run`) with `result.json`, its
row of the table. Sweeps share the trials that they have in common. The table `runs/PROFILE/sweeps/SWEEP.json`
is written anew after every trial; a published one is `data/results/SWEEP.json` (`SWEEP-paper.json` under the
profile `paper`), which chapters gather:

    format    1
    sweep     name of the sweep
    profile   smoke | book | paper
    points    trials that the sweep has in all
    rows      one for each finished trial, in the sweep's order; see `rpgan.row.Row`:
      experiment, overrides   what was trained; dotted keys beyond the profile and the sweep's own protocol
      digest                  of the whole config and of how it was scored
      seed, steps, parameters
      seconds, step_seconds   of training, without scoring; median over the log of a generator update
      selected                score {name, value, n, seed, against} that selected the checkpoint; its `step`
      final                   scores of that checkpoint on images from another seed, against training images;
                              each with its `extractor`
      curve                   {name, steps, values}: the selecting score during training
      prd                     precision and recall at 101 angles, the curve behind the F-scores; by extractor
      diversity               {measure: {ratio_mean, share}} of the checkpoint's buckets, from 100 paths, by
                              colour and by squared distances of features; null where a bucket has none
      damage                  {measure: shares} of a standard GAN's layers in the changes by noise, at equal
                              total change, by the same measures; empty for an RPGAN, and
                              where a layer cannot change the images as much
      data, machine, versions as on the checkpoint's card
"""

from rpgan.sweep.points import SWEEPS, Point, Protocol, Sweep, plan, read_sweep
from rpgan.sweep.run import obtain_sweep, run_sweep
from rpgan.sweep.table import Table
from rpgan.sweep.trial import Trial

__all__ = [
    "SWEEPS",
    "Point",
    "Protocol",
    "Sweep",
    "Table",
    "Trial",
    "obtain_sweep",
    "plan",
    "read_sweep",
    "run_sweep",
]
