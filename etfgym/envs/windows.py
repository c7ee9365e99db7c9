"""The compiled writing of one window, as fast as the processor's registers allow."""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable


@register_jitable(forceinline=True, _nrt=False)
def write_window(row, base, scale, shift, out):
    """Write the window that ends at `row` into `out` (window, 6), float32; see `etfgym.features`.

    All arrays are contiguous.
    """
    window, columns = out.shape
    first, now = (row - window + 1) * columns, row * columns
    if window == 20:  # the default: with a count that the compiler knows it takes two thirds of the time
        scale_four_rows(5, base, first, scale, shift, now, out)  # type: ignore[call-arg]  # numba gives `typing`
        return
    fours = window // 4
    scale_four_rows(fours, base, first, scale, shift, now, out)  # type: ignore[call-arg]
    for day in range(fours * 4, window):
        for column in range(columns):
            out[day, column] = base[row - window + 1 + day, column] * scale[row, column] + shift[row, column]


@intrinsic
def scale_four_rows(typing, fours, base, first, scale, shift, now, out):  # noqa: ARG001 (`values` below)
    """Write `fours` times four rows of six numbers, base * scale + shift, to the beginning of `out`.

    Six columns fill no vector register; four rows of them fill three (AVX) to six. numba's compiler does not find
    that by itself: written as a loop, a window takes four times as long. `first` and `now` are positions in `base`
    and in `scale` and `shift`, counted in numbers.
    """
    del typing

    def emit(context, builder, signature, values):
        count, base_at, first_at, scale_at, shift_at, now_at, out_at = values
        number, word, index = ir.FloatType(), ir.IntType(32), ir.IntType(64)

        def pointer(position, array, offset):
            start = context.make_array(signature.args[position])(context, builder, array).data
            return builder.gep(start, [offset])

        def load(start, size):
            loaded = builder.load(builder.bitcast(start, ir.VectorType(number, size).as_pointer()))
            loaded.align = 4
            return loaded

        def shuffle(one, two, order):
            return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(word, len(order)), order))

        def four_times(start):
            four, two = load(start, 4), load(builder.gep(start, [index(4)]), 2)
            wide = shuffle(two, ir.Constant(two.type, ir.Undefined), [0, 1, 0, 1])
            return shuffle(four, wide, [0, 1, 2, 3, 4, 5] * 4)

        scales, shifts = four_times(pointer(3, scale_at, now_at)), four_times(pointer(4, shift_at, now_at))
        source, target = pointer(1, base_at, first_at), pointer(6, out_at, index(0))
        with cgutils.for_range(builder, count) as loop:
            offset = builder.mul(loop.index, index(24))
            cells = builder.fadd(builder.fmul(load(builder.gep(source, [offset]), 24), scales), shifts)
            place = builder.bitcast(builder.gep(target, [offset]), cells.type.as_pointer())
            builder.store(cells, place).align = 4
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, base, whole, scale, shift, whole, out), emit
