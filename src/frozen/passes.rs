//! The passes of a convolution: one forward, and backward one for each phase of its stride.

use super::convolution::{Pass, Target};
use super::layout::{Grid, Layout};
use super::winograd::Form;

/// A convolution as a graph states it. A dense layer is one of a single pixel.
#[derive(Clone, Debug, Default)]
pub(super) struct Convolution {
    /// Channels, rows, columns of what it reads.
    pub(super) from: [usize; 3],
    /// The same of what it gives.
    pub(super) to: [usize; 3],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Top and left; the result's sides tell the rest.
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) groups: usize,
    /// [out, in / groups, height, width].
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Along one axis, the pixels that the same taps reach on the way back.
struct Phase {
    first: usize,
    count: usize,
    /// Tap of the kernel, and which result it reads, relative to the pixel's number in the phase.
    taps: Vec<(usize, isize)>,
}

impl Convolution {
    fn group_inputs(&self) -> usize {
        self.from[0] / self.groups
    }

    fn group_outputs(&self) -> usize {
        self.to[0] / self.groups
    }

    /// The tiles that a target computes a pass in, of so many pixels, forward or back.
    fn form(&self, [_, rows, columns]: [usize; 3], target: Target) -> Option<Form> {
        let plain = self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1] && self.groups == 1;
        Form::suited([rows, columns], self.from[0], self.to[0]).filter(|_| target.winograd && plain)
    }

    /// The border of zeros that what it reads must have.
    pub(super) fn border(&self, target: Target) -> [usize; 4] {
        let side = self.form(self.to, target).map_or(1, Form::side);
        let beyond = |axis: usize| {
            let past = self.to[1 + axis].next_multiple_of(side);
            let last = (past - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis];
            last.saturating_sub(self.padding[axis] + self.from[1 + axis] - 1)
        };
        [self.padding[0], self.padding[1], beyond(0), beyond(1)]
    }

    /// The border of zeros that the gradient of its result must have.
    pub(super) fn gradient_border(&self, target: Target) -> [usize; 4] {
        let side = self.form(self.from, target).map_or(1, Form::side);
        let along = |axis: usize| {
            let reach = self.phases(axis).into_iter().flat_map(|phase| phase.taps.into_iter().map(move |(_, reads)| (reads, phase.count)));
            reach.fold((0, 0), |(before, beyond), (reads, count)| {
                let last = count.next_multiple_of(side) as isize - 1 + reads - (self.to[1 + axis] as isize - 1);
                (before.max(-reads), beyond.max(last))
            })
        };
        let ((top, bottom), (left, right)) = (along(0), along(1));
        [top, left, bottom, right].map(|side| side as usize)
    }

    fn phases(&self, axis: usize) -> Vec<Phase> {
        let (stride, padding, dilation) = (self.stride[axis], self.padding[axis], self.dilation[axis]);
        let phase = |first: usize| {
            let tap = |tap: usize| {
                let from = (first + padding) as isize - (tap * dilation) as isize;
                (from.rem_euclid(stride as isize) == 0).then_some((tap, from.div_euclid(stride as isize)))
            };
            Phase { first, count: (self.from[1 + axis] - first).div_ceil(stride), taps: (0..self.kernel[axis]).filter_map(tap).collect() }
        };
        (0..stride.min(self.from[1 + axis])).map(phase).collect()
    }

    /// The pass forward.
    pub(super) fn forward(&self, input: &Layout, output: &Layout, target: Target) -> Pass {
        let from = input.grid();
        let [height, width] = self.kernel;
        let at = |tap: usize| target.vector * (tap / width * self.dilation[0] * from.row + tap % width * self.dilation[1] * from.column);
        let origin = from.origin - self.padding[0] * from.row - self.padding[1] * from.column;
        let (inputs, outputs, taps) = (self.group_inputs(), self.group_outputs(), height * width);
        let weight = |group, output, input, tap| self.weight[((group * outputs + output) * inputs + input) * taps + tap];
        let form = self.form(self.to, target);
        let weights = match form {
            Some(form) => form.packed([outputs, inputs], |output, input, tap| weight(0, output, input, tap)),
            None => (target.pack)([self.groups, outputs, inputs, taps], self.to[2] == 1, &weight),
        };
        Pass {
            size: [self.to[1], self.to[2]],
            groups: self.groups,
            inputs,
            outputs,
            form,
            taps: (0..taps).map(at).collect(),
            input: Grid { origin, ..from }.every([0, 0], self.stride),
            output: output.grid(),
            weights,
            bias: self.bias.clone(),
        }
    }

    /// The passes from the gradient of the result to that of what it reads; each with the first pixel that it writes, one every stride.
    pub(super) fn backward(&self, gradient: &Layout, output: &Layout, target: Target) -> Vec<([usize; 2], Pass)> {
        let columns = self.phases(1);
        let rows = self.phases(0);
        rows.iter().flat_map(|row| columns.iter().map(|column| self.phase([row, column], gradient, output, target))).collect()
    }

    fn phase(&self, [row, column]: [&Phase; 2], gradient: &Layout, output: &Layout, target: Target) -> ([usize; 2], Pass) {
        let from = gradient.grid();
        let least = |phase: &Phase| phase.taps.iter().map(|(_, reads)| *reads).min().unwrap_or(0);
        let (top, left) = (least(row), least(column));
        let taps: Vec<(usize, usize)> = row
            .taps
            .iter()
            .flat_map(|&(down, reads)| column.taps.iter().map(move |&(across, also)| (down, reads, across, also)))
            .map(|(down, reads, across, also)| {
                (down * self.kernel[1] + across, target.vector * ((reads - top) as usize * from.row + (also - left) as usize * from.column))
            })
            .collect();
        let origin = from.origin.wrapping_add_signed(top * from.row as isize + left * from.column as isize);
        let (inputs, outputs, area) = (self.group_outputs(), self.group_inputs(), self.kernel[0] * self.kernel[1]);
        let weight = |group, output, input, tap: usize| self.weight[((group * inputs + input) * outputs + output) * area + taps[tap].0];
        let first = [row.first, column.first];
        let form = self.form(self.from, target);
        let weights = match form {
            // On the way back the taps are read from the last to the first.
            Some(form) => form.packed([outputs, inputs], |output, input, tap| weight(0, output, input, area - 1 - tap)),
            None => (target.pack)([self.groups, outputs, inputs, taps.len()], column.count == 1, &weight),
        };
        let pass = Pass {
            size: [row.count, column.count],
            groups: self.groups,
            inputs,
            outputs,
            weights,
            form,
            taps: taps.iter().map(|(_, at)| *at).collect(),
            input: Grid { origin, ..from },
            output: output.grid().every(first, self.stride),
            bias: Vec::new(),
        };
        (first, pass)
    }
}
