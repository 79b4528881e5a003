#!/usr/bin/env python3
"""Golden values of pruning: schedules and masks as TensorFlow Model Optimization gives them.

Needs tensorflow-cpu, tf_keras and tensorflow-model-optimization (made with 2.21.0, 2.21.0, 0.8.1). Writes
tests/golden/pruning/schedule.csv (one line a step) and masks.csv (case, rows, columns, then weights and mask
in pairs; rows are outputs, columns inputs).
"""
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_schedule

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pruning")
POLYNOMIAL = [(0.5, 0.8, 0, 1000, 3, 100), (0.0, 0.5, 200, 2000, 3, 100), (0.2, 0.9, 7, 107, 1, 10),
              (0.3, 0.75, 10, 60, 2.5, 7)]
CONSTANT = [(0.5, 0, -1, 100), (0.75, 30, 60, 7)]
STEPS = [0, 1, 6, 7, 10, 17, 24, 29, 30, 37, 44, 50, 51, 57, 58, 59, 60, 61, 65, 99, 100, 107, 108, 200, 500, 900,
         1000, 1100, 1999, 2000, 2100]


def write_schedules():
    with open(f"{HERE}/schedule.csv", "w") as out:
        out.write("kind,initial,final,begin,end,power,frequency,step,due,sparsity\n")
        for initial, final, begin, end, power, frequency in POLYNOMIAL:
            schedule = pruning_schedule.PolynomialDecay(initial, final, begin, end, power, frequency)
            for step in STEPS:
                due, sparsity = schedule(tf.constant(step, tf.int64))
                out.write(f"0,{initial},{final},{begin},{end},{power},{frequency},{step},{int(due)},"
                          f"{float(sparsity):.9g}\n")
        for final, begin, end, frequency in CONSTANT:
            schedule = pruning_schedule.ConstantSparsity(final, begin, end, frequency)
            for step in STEPS:
                due, sparsity = schedule(tf.constant(step, tf.int64))
                out.write(f"1,0,{final},{begin},{end},3,{frequency},{step},{int(due)},{float(sparsity):.9g}\n")


def mask_of(weights, sparsity, block, pooling, m_by_n):
    """The mask for weights [outputs, inputs]; there they are [inputs, outputs]."""
    kernel = tf.Variable(np.ascontiguousarray(weights.T))
    schedule = pruning_schedule.ConstantSparsity(sparsity, 0)
    step = tf.constant(0, tf.int64)
    variables = [(kernel, tf.Variable(tf.ones_like(kernel)), tf.Variable(0.0))]
    pruning = pruning_impl.Pruning(lambda: step, variables, schedule, block, pooling, m_by_n)
    return pruning._maybe_update_block_mask(kernel)[1].numpy().T


def write_masks():
    rng = np.random.default_rng(5)
    cases = [("elements 0.5", 6, 8, 0.5, (1, 1), "AVG", None), ("elements 0.77", 5, 9, 0.77, (1, 1), "AVG", None),
             ("elements 0.99", 3, 5, 0.99, (1, 1), "AVG", None), ("average 4x1 0.5", 6, 8, 0.5, (4, 1), "AVG", None),
             ("max 4x2 0.6", 6, 8, 0.6, (4, 2), "MAX", None), ("average 2x3 0.34", 6, 8, 0.34, (2, 3), "AVG", None),
             ("2 of 4", 5, 12, 0.5, (1, 1), "AVG", (2, 4)), ("1 of 4", 4, 8, 0.5, (1, 1), "AVG", (1, 4))]
    with open(f"{HERE}/masks.csv", "w") as out:
        out.write("case,rows,columns,sparsity,block_inputs,block_outputs,max,zeros,group,values\n")
        for name, rows, columns, sparsity, block, pooling, m_by_n in cases:
            weights = rng.normal(size=(rows, columns)).astype(np.float32)
            mask = mask_of(weights, sparsity, block, pooling, m_by_n)
            pairs = " ".join(f"{float(w):.9g} {int(m)}" for w, m in zip(weights.ravel(), mask.ravel()))
            zeros, group = m_by_n or (0, 0)
            out.write(f"{name},{rows},{columns},{sparsity},{block[0]},{block[1]},{int(pooling == 'MAX')},{zeros},"
                      f"{group},{pairs}\n")


os.makedirs(HERE, exist_ok=True)
write_schedules()
write_masks()
