"""The compiled sums of `agents.by_hand`: a network of dense layers forward, and the gradient of its loss back.

`flat` and `gradient` are the network's vectors of parameters, `layers` its layers (dtype LAYER), `work` the workspace
in which every layer has its input and its output, `scaler` the mean and spread of a window's columns.
"""

from __future__ import annotations

import numba
import numpy as np

LAYER = np.dtype(
    [
        ("weight", np.int64),  # where its weights (outputs, inputs) begin in the vector of parameters
        ("bias", np.int64),  # likewise its biases (outputs,)
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("span", np.int64),  # days in a row that it looks at; 0 for a plain dense layer
        ("joins", np.bool_),  # whether the rest of the observation joins before it
        ("rows", np.int64),  # of its input, as a matrix: B, or B times the days
        ("x", np.int64),  # where its input (rows, inputs) begins in the workspace
        ("y", np.int64),  # likewise its output (rows, outputs)
    ]
)
"""One dense layer at one batch size."""

compiled = numba.njit(cache=True, error_model="numpy")
NOTHING = np.float32(0.0)


@compiled
def values(flat, layers, scaler, work, rows, rests, dueling):
    """Return values (R, actions) of rows (B, D) and the rests (R, rest) that join; R is B or a multiple of it."""
    count = rows.shape[0]
    if layers[0].span > 0:
        scale_windows(rows, scaler, work[: layers[0].x].reshape(count, -1))
    for i in range(layers.size):
        layer = layers[i]
        x = matrix(work, layer.x, layer.rows, layer.inputs)
        if layer.span > 0:
            start = layers[i - 1].y if i > 0 else 0
            lay_days(work, start, layer.inputs // layer.span, layer.rows // count, x)
        elif layer.joins or i == 0:
            join(work, layers[i - 1].y, layer.inputs - rests.shape[1], rests, count, x)
        y = matrix(work, layer.y, layer.rows, layer.outputs)
        np.dot(x, matrix(flat, layer.weight, layer.outputs, layer.inputs).T, y)
        floor = NOTHING if i < layers.size - 1 else np.float32(-np.inf)  # ReLU in all but the last
        bias = flat[layer.bias : layer.bias + layer.outputs]
        for row in range(layer.rows):
            for j in range(layer.outputs):
                y[row, j] = max(y[row, j] + bias[j], floor)
    return joined(y, dueling)


@compiled
def gradient(flat, gradient, layers, scaler, work, rows, front, actions, targets, weights, dueling):
    """Write the mean Huber loss's gradient; return the errors (B, K); see `agents.by_hand.Engine.gradient`."""
    found = values(flat, layers, scaler, work, rows, rows[:, front:], dueling)
    count = rows.shape[0]
    room = 0
    for layer in layers:
        room = max(room, layer.rows * max(layer.inputs, layer.outputs))
    here, there = work.size - 2 * room, work.size - room  # where dLoss/dy is, and where dLoss/dx goes
    slopes = matrix(work, here, count, layers[layers.size - 1].outputs)
    errors = start_slopes(found, actions, targets, weights, dueling, slopes)
    for i in range(layers.size - 1, -1, -1):
        layer = layers[i]
        slopes = matrix(work, here, layer.rows, layer.outputs)
        if i < layers.size - 1:
            through_relu(matrix(work, layer.y, layer.rows, layer.outputs), slopes)
        x = matrix(work, layer.x, layer.rows, layer.inputs)
        weight_slopes(slopes, x, matrix(gradient, layer.weight, layer.outputs, layer.inputs), work[there:])
        sum_rows(slopes, gradient[layer.bias : layer.bias + layer.outputs])
        if i == 0:
            break
        inward = matrix(work, there, layer.rows, layer.inputs)
        np.dot(slopes, matrix(flat, layer.weight, layer.outputs, layer.inputs), inward)
        width = layers[i - 1].outputs
        if layer.span > 0:
            days = layer.rows // count
            fold_days(inward, days, width, matrix(work, here, count, (days + layer.span - 1) * width))
        elif layer.joins:  # only the torso's part leads further
            matrix(work, here, count, width)[:] = inward[:, :width]
        else:
            here, there = there, here
    return errors


@compiled
def matrix(vector, start, rows, columns):
    """Return a part of a vector as a matrix; a view."""
    return vector[start : start + rows * columns].reshape(rows, columns)


@compiled
def scale_windows(rows, scaler, scaled):
    """Write the windows of `rows` (B, D), less their columns' mean and over their spread, into (B, W * F)."""
    mean, std = scaler
    for i in range(scaled.shape[0]):
        for start in range(0, scaled.shape[1], mean.size):
            for j in range(mean.size):
                scaled[i, start + j] = (rows[i, start + j] - mean[j]) / std[j]


@compiled
def lay_days(work, start, width, days, x):
    """Write every `span` days in a row, of `width` numbers each, into a row of `x` (B * days, span * width)."""
    span = x.shape[1] // width
    for row in range(x.shape[0]):
        place = start + (row // days * (days + span - 1) + row % days) * width
        source, target = work[place : place + x.shape[1]], x[row]
        for j in range(target.size):
            target[j] = source[j]


@compiled
def fold_days(inward, days, width, total):
    """Add up what `lay_days` had laid out: (B * days, span * width) to (B, (days + span - 1) * width)."""
    total[:] = NOTHING
    for row in range(inward.shape[0]):
        start = row % days * width
        source, target = inward[row], total[row // days, start : start + inward.shape[1]]
        for j in range(source.size):
            target[j] += source[j]


@compiled
def join(work, start, features, rests, count, x):
    """Write features (B, features), if any, and the rests (R, rest) beside them into `x` (R, features + rest)."""
    branches = rests.shape[0] // count
    for row in range(x.shape[0]):
        place = start + row // branches * features
        for j in range(features):
            x[row, j] = work[place + j]
        for j in range(rests.shape[1]):
            x[row, features + j] = rests[row, j]


@compiled
def joined(y, dueling):
    """Return values of the last layer's outputs, see `agents.network.QNetwork.join`."""
    if not dueling:
        return y.copy()
    found = np.empty((y.shape[0], y.shape[1] - 1), np.float32)
    for row in range(y.shape[0]):
        found[row] = y[row, 0] + y[row, 1:] - y[row, 1:].mean()
    return found


@compiled
def start_slopes(found, actions, targets, weights, dueling, slopes):
    """Write dLoss/dy of the last layer into `slopes` (B, outputs); return the errors (B, K)."""
    count, fitted = targets.shape
    errors = np.empty((count, fitted), np.float32)
    slopes[:] = NOTHING
    advantages = slopes[:, 1:] if dueling else slopes[:, 0:]
    for i in range(count):
        for k in range(fitted):
            action = actions[i] if fitted == 1 else k
            errors[i, k] = targets[i, k] - found[i, action]
            clipped = min(max(errors[i, k], np.float32(-1.0)), np.float32(1.0))
            advantages[i, action] = -clipped * weights[i, 0] / np.float32(count * fitted)
        if dueling:
            slopes[i, 0] = advantages[i].sum()
            advantages[i] -= slopes[i, 0] / np.float32(advantages.shape[1])
    return errors


@compiled
def through_relu(y, slopes):
    """Let slopes through where the layer's output is above 0."""
    for row in range(y.shape[0]):
        for j in range(y.shape[1]):
            slopes[row, j] = slopes[row, j] if y[row, j] > NOTHING else NOTHING


@compiled
def weight_slopes(slopes, x, total, spare):
    """Write slopes' x (outputs, inputs).

    Many rows are taken 128 at a time and the other way round: OpenBLAS is twice as fast on that shape.
    """
    if x.shape[0] <= 256:
        np.dot(slopes.T, x, total)
        return
    total[:] = NOTHING
    part = matrix(spare, 0, x.shape[1], slopes.shape[1])
    for start in range(0, x.shape[0], 128):
        np.dot(x[start : start + 128].T, slopes[start : start + 128], part)
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                total[i, j] += part[j, i]


@compiled
def sum_rows(slopes, total):
    """Write the sum of the rows."""
    total[:] = NOTHING
    for row in range(slopes.shape[0]):
        for j in range(slopes.shape[1]):
            total[j] += slopes[row, j]
