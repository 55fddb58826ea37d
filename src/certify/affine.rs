//! Affine layers: forwards on boxes, backwards on the coefficients of a bound.

use super::rounding::MOST_TERMS;

/// y = W x + b on flat values, [C, H, W] row-major where they are images.
#[derive(Clone, Debug)]
pub(super) enum Affine {
    /// Weight [outs, ins], for each of `repeat` rows of x.
    Dense { weight: Vec<f64>, bias: Vec<f64>, ins: usize, repeat: usize },
    /// A convolution.
    Conv(Conv),
    /// factor x + shift, element by element.
    Scale { factor: Vec<f64>, shift: Vec<f64> },
    /// The same weighted sums within each channel of x: of each output pixel its (input pixel, weight).
    Planes { channels: usize, pixels: usize, sums: Vec<Vec<(usize, f64)>> },
}

/// A convolution whose weight is [out, h, w, in / groups], so that a row of a window lies in one piece.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    pub(super) weight: Vec<f64>,
    pub(super) bias: Vec<f64>,
    /// Channels, height, width.
    pub(super) from: [usize; 3],
    pub(super) to: [usize; 3],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    /// Top and left.
    pub(super) padding: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) groups: usize,
}

/// What the products of a layer with a box come to.
pub(super) struct Products {
    /// W middle + b.
    pub(super) middle: Vec<f64>,
    /// |W| radius.
    pub(super) radius: Vec<f64>,
    /// |W| size + |b|.
    pub(super) size: Vec<f64>,
}

/// A piece of a window: where its weights and its inputs start, and how many there are.
struct Piece {
    weights: usize,
    inputs: usize,
    length: usize,
}

impl Affine {
    /// How many values go in and come out.
    pub(super) fn sizes(&self) -> [usize; 2] {
        match self {
            Self::Dense { bias, ins, repeat, .. } => [ins * repeat, bias.len() * repeat],
            Self::Conv(conv) => [conv.from.iter().product(), conv.to.iter().product()],
            Self::Scale { factor, .. } => [factor.len(); 2],
            Self::Planes { channels, pixels, sums } => [channels * pixels, channels * sums.len()],
        }
    }

    /// The most products in a sum, forwards or backwards.
    pub(super) fn terms(&self) -> usize {
        match self {
            Self::Dense { bias, ins, .. } => *ins.max(&bias.len()),
            Self::Conv(conv) => conv.kernel[0] * conv.kernel[1] * (conv.from[0] / conv.groups).max(conv.to[0] / conv.groups),
            Self::Scale { .. } => 1,
            Self::Planes { pixels, sums, .. } => *pixels.max(&sums.len()),
        }
    }

    /// Whether its sums are short enough for the bounds of rounding errors to hold.
    pub(super) fn is_bounded(&self) -> bool {
        self.terms().saturating_add(self.sizes()[1]) < MOST_TERMS
    }

    /// On a box around `middle` with `radius`, whose elements have at most these `size`s.
    pub(super) fn forwards(&self, middle: &[f64], radius: &[f64], size: &[f64]) -> Products {
        let outs = self.sizes()[1];
        let mut products = Products { middle: vec![0.0; outs], radius: vec![0.0; outs], size: vec![0.0; outs] };
        match self {
            Self::Dense { weight, bias, ins, repeat } => {
                for row in 0..*repeat {
                    let of = row * ins..(row + 1) * ins;
                    let inputs = [&middle[of.clone()], &radius[of.clone()], &size[of]];
                    for (at, (weights, bias)) in weight.chunks_exact(*ins).zip(bias).enumerate() {
                        products.put(row * self.bias_count() + at, dots(weights, inputs), *bias);
                    }
                }
            }
            Self::Conv(conv) => conv.forwards([middle, radius, size], &mut products),
            Self::Scale { factor, shift } => {
                for at in 0..outs {
                    let (factor, absolute) = (factor[at], factor[at].abs());
                    products.put(at, [factor * middle[at], absolute * radius[at], absolute * size[at]], shift[at]);
                }
            }
            Self::Planes { channels, pixels, sums } => {
                for channel in 0..*channels {
                    for (at, sum) in sums.iter().enumerate() {
                        let mut found = [0.0; 3];
                        for (pixel, weight) in sum {
                            let from = channel * pixels + pixel;
                            found[0] += weight * middle[from];
                            found[1] += weight.abs() * radius[from];
                            found[2] += weight.abs() * size[from];
                        }
                        products.put(channel * sums.len() + at, found, 0.0);
                    }
                }
            }
        }
        products
    }

    fn bias_count(&self) -> usize {
        if let Self::Dense { bias, .. } = self { bias.len() } else { 0 }
    }

    /// Adds W^T a to `into`; gives a b.
    pub(super) fn backwards(&self, a: &[f64], into: &mut [f64]) -> f64 {
        let mut constant = 0.0;
        match self {
            Self::Dense { weight, bias, ins, .. } => {
                for (row, into) in a.chunks_exact(bias.len()).zip(into.chunks_exact_mut(*ins)) {
                    for ((&a, weights), bias) in row.iter().zip(weight.chunks_exact(*ins)).zip(bias) {
                        if a != 0.0 {
                            constant += a * bias;
                            add_multiple(a, weights, into);
                        }
                    }
                }
            }
            Self::Conv(conv) => constant = conv.backwards(a, into),
            Self::Scale { factor, shift } => {
                for (((&a, into), factor), shift) in a.iter().zip(into).zip(factor).zip(shift) {
                    *into += a * factor;
                    constant += a * shift;
                }
            }
            Self::Planes { pixels, sums, .. } => {
                for (a, into) in a.chunks_exact(sums.len()).zip(into.chunks_exact_mut(*pixels)) {
                    for (&a, sum) in a.iter().zip(sums).filter(|(a, _)| **a != 0.0) {
                        sum.iter().for_each(|(pixel, weight)| into[*pixel] += a * weight);
                    }
                }
            }
        }
        constant
    }
}

impl Products {
    fn put(&mut self, at: usize, [middle, radius, size]: [f64; 3], bias: f64) {
        self.middle[at] = middle + bias;
        self.radius[at] = radius;
        self.size[at] = size + bias.abs();
    }
}

impl Conv {
    fn forwards(&self, inputs: [&[f64]; 3], products: &mut Products) {
        let inputs = inputs.map(|values| channels_last(values, self.from));
        self.each_window(|row, column, group, pieces| {
            for out in self.outputs(group) {
                let mut found = [0.0; 3];
                for piece in pieces {
                    let weights = &self.weight[out * self.window() + piece.weights..][..piece.length];
                    let part = dots(weights, [0, 1, 2].map(|kind| &inputs[kind][piece.inputs..][..piece.length]));
                    found.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                }
                products.put(self.place(out, row, column), found, self.bias[out]);
            }
        });
    }

    fn backwards(&self, a: &[f64], into: &mut [f64]) -> f64 {
        let mut constant = 0.0;
        let mut sums = vec![0.0; self.from.iter().product()];
        self.each_window(|row, column, group, pieces| {
            for out in self.outputs(group) {
                let a = a[self.place(out, row, column)];
                if a != 0.0 {
                    constant += a * self.bias[out];
                    for piece in pieces {
                        let weights = &self.weight[out * self.window() + piece.weights..][..piece.length];
                        add_multiple(a, weights, &mut sums[piece.inputs..][..piece.length]);
                    }
                }
            }
        });
        let [channels, height, width] = self.from;
        for (at, into) in into.iter_mut().enumerate() {
            let (channel, pixel) = (at / (height * width), at % (height * width));
            *into += sums[pixel * channels + channel];
        }
        constant
    }

    /// Weights of one output's window.
    fn window(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.from[0] / self.groups
    }

    fn outputs(&self, group: usize) -> std::ops::Range<usize> {
        let each = self.to[0] / self.groups;
        group * each..(group + 1) * each
    }

    fn place(&self, out: usize, row: usize, column: usize) -> usize {
        (out * self.to[1] + row) * self.to[2] + column
    }

    /// Calls `f` with row, column and group of every window, and the pieces of it that lie within the image.
    fn each_window(&self, mut f: impl FnMut(usize, usize, usize, &[Piece])) {
        let [channels, height, width] = self.from;
        let deep = channels / self.groups;
        let whole_rows = self.dilation[1] == 1 && self.groups == 1;
        let mut pieces = Vec::new();
        for row in 0..self.to[1] {
            for column in 0..self.to[2] {
                for group in 0..self.groups {
                    pieces.clear();
                    for down in 0..self.kernel[0] {
                        let Some(y) = within(row * self.stride[0] + down * self.dilation[0], self.padding[0], height) else { continue };
                        let seen = |right: usize| within(column * self.stride[1] + right * self.dilation[1], self.padding[1], width);
                        let mut right = 0;
                        while right < self.kernel[1] {
                            let Some(x) = seen(right) else {
                                right += 1;
                                continue;
                            };
                            let pixels = if whole_rows { (self.kernel[1] - right).min(width - x) } else { 1 };
                            pieces.push(Piece {
                                weights: (down * self.kernel[1] + right) * deep,
                                inputs: (y * width + x) * channels + group * deep,
                                length: pixels * deep,
                            });
                            right += pixels;
                        }
                    }
                    f(row, column, group, &pieces);
                }
            }
        }
    }
}

fn within(at: usize, padding: usize, side: usize) -> Option<usize> {
    at.checked_sub(padding).filter(|&at| at < side)
}

fn channels_last(values: &[f64], [channels, height, width]: [usize; 3]) -> Vec<f64> {
    let pixels = height * width;
    (0..values.len()).map(|at| values[at % channels * pixels + at / channels]).collect()
}

/// w x, |w| r and |w| s.
fn dots(weights: &[f64], [middle, radius, size]: [&[f64]; 3]) -> [f64; 3] {
    const LANES: usize = 4;
    let mut sums = [[0.0; LANES]; 3];
    let whole = weights.len() - weights.len() % LANES;
    for at in (0..whole).step_by(LANES) {
        let lanes = |values: &[f64]| -> [f64; LANES] { std::array::from_fn(|lane| values[at + lane]) };
        let (w, x, r, s) = (lanes(weights), lanes(middle), lanes(radius), lanes(size));
        for lane in 0..LANES {
            sums[0][lane] += w[lane] * x[lane];
            sums[1][lane] += w[lane].abs() * r[lane];
            sums[2][lane] += w[lane].abs() * s[lane];
        }
    }
    let mut found = sums.map(|lanes| lanes.iter().sum::<f64>());
    for at in whole..weights.len() {
        found[0] += weights[at] * middle[at];
        found[1] += weights[at].abs() * radius[at];
        found[2] += weights[at].abs() * size[at];
    }
    found
}

fn add_multiple(factor: f64, values: &[f64], into: &mut [f64]) {
    into.iter_mut().zip(values).for_each(|(into, value)| *into += factor * value);
}
