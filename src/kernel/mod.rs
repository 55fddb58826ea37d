//! The engine's hand-written kernels: one WGSL shader, one Rust file and one row of [`KERNELS`] each.
//!
//! `shaders/<name>.wgsl` runs on a GPU, on Burn's own buffers; the twin beside the parameters in `src/kernel/<name>.rs` is plain Rust,
//! written from the same formula. The twin is what the CPU device runs and what the shader is tested against. The public function of
//! the file takes and returns Burn tensors and works on either device, whichever the tensors are on.
//!
//! Words: B is the number of slots (rows of the batch), D the features of an input, C the classes, N the examples of a set. Float
//! tensors are `f32` [B, D] or [B, C]; `rows` holds B [`Row`](row::Row)s and `state` B [`State`](row::State)s as `i32` words (see
//! [`words`]). Inputs may be strided; they are made contiguous first. Tensors must be on a plain device, not on a differentiable one
//! (`Tensor::inner`).
//!
//! The kernels of frozen networks read and write values [vectors, images] instead, which [`lanes`] describes; a plan
//! ([`crate::frozen::gpu`]) launches them on its own memory, many at a time.
//!
//! The order within a step of the engine: `admit`, `random_start`, (a step for fresh rows that keep a direction), the forward pass,
//! `flags`, `keep_best`, `loss_gradient`, the backward pass, `momentum`, `linf_step` or `l2_step`. A row that is still running after
//! `flags` gets a gradient and a step; one that has just been broken keeps its point.

pub mod admit;
pub mod apgd;
pub mod apgd_check;
pub mod apgd_keep;
pub mod apgd_l1_step;
pub mod apgd_start;
pub mod apgd_step;
pub mod bit_depth;
pub mod convolve;
pub mod distances;
pub mod fab_look;
pub mod fab_start;
pub mod fab_step;
pub mod flags;
pub mod from_lanes;
pub mod gaussian;
pub mod jpeg_blocks;
pub mod keep_best;
pub mod l1_project;
pub mod l2_step;
pub mod lanes;
pub mod linf_step;
pub mod loss_gradient;
pub mod loss_scale;
pub mod max_pool;
pub mod max_pool_back;
pub mod median;
pub mod median_back;
pub mod momentum;
pub mod random;
pub mod random_start;
pub mod row;
pub mod sample;
pub mod softmax;
pub mod sparse_rows;
pub mod square;
pub mod square_linf;
pub mod square_mass;
pub mod sweep;
pub mod to_lanes;
pub mod total_variation;
pub mod total_variation_back;
pub mod unary;
pub mod votes;
pub mod weight_step;
pub mod words;

mod door;
mod launch;
mod loss;
mod plane;
mod raw;
mod twin;

use sample::{Shape, Value};

pub use admit::admit;
pub use apgd_check::apgd_check;
pub use apgd_keep::apgd_keep;
pub use apgd_l1_step::apgd_l1_step;
pub use apgd_start::apgd_start;
pub use apgd_step::apgd_step;
pub use bit_depth::bit_depth;
pub use convolve::convolve;
pub use distances::distances;
pub use fab_look::fab_look;
pub use fab_start::fab_start;
pub use fab_step::fab_step;
pub use flags::flags;
pub use from_lanes::from_lanes;
pub use gaussian::gaussian;
pub use jpeg_blocks::jpeg_blocks;
pub use keep_best::keep_best;
pub use l1_project::l1_project;
pub use l2_step::l2_step;
pub(crate) use launch::{Ready, allocate, enqueue, parameters_buffer, share};
pub use launch::{launch_past_burn, poison_outputs};
pub use linf_step::linf_step;
pub use loss_gradient::loss_gradient;
pub use loss_scale::loss_scale;
pub use max_pool::max_pool;
pub use max_pool_back::max_pool_back;
pub use median::median;
pub use median_back::median_back;
pub use momentum::momentum;
pub use random_start::random_start;
pub use softmax::softmax;
pub use sparse_rows::sparse_rows;
pub use square_linf::square_linf;
pub use square_mass::square_mass;
pub use sweep::sweep;
pub use to_lanes::to_lanes;
pub use total_variation::{total_variation, total_variation_state};
pub use total_variation_back::total_variation_back;
pub use unary::unary;
pub use votes::votes;
pub use weight_step::weight_step;

/// Every kernel of the engine: those of attacks in the order of a step, then those of defences, then those of
/// frozen networks.
pub const KERNELS: &[Kernel] = &[
    admit::KERNEL,
    random_start::KERNEL,
    flags::KERNEL,
    keep_best::KERNEL,
    loss_gradient::KERNEL,
    loss_scale::KERNEL,
    momentum::KERNEL,
    linf_step::KERNEL,
    l2_step::KERNEL,
    l1_project::KERNEL,
    fab_start::KERNEL,
    fab_look::KERNEL,
    fab_step::KERNEL,
    apgd_start::KERNEL,
    apgd_check::KERNEL,
    apgd_keep::KERNEL,
    apgd_step::KERNEL,
    apgd_l1_step::KERNEL,
    square_linf::KERNEL,
    square_mass::KERNEL,
    distances::KERNEL,
    bit_depth::KERNEL,
    median::KERNEL,
    median_back::KERNEL,
    jpeg_blocks::KERNEL,
    total_variation::KERNEL,
    total_variation_back::KERNEL,
    gaussian::KERNEL,
    votes::KERNEL,
    weight_step::KERNEL,
    to_lanes::KERNEL,
    convolve::KERNEL,
    sweep::KERNEL,
    sparse_rows::KERNEL,
    max_pool::KERNEL,
    max_pool_back::KERNEL,
    unary::KERNEL,
    softmax::KERNEL,
    from_lanes::KERNEL,
];

/// WGSL that several shaders share, by the name after `//!include`.
pub const SHARED: &[(&str, &str)] = &[
    ("shared/apgd.wgsl", include_str!("../../shaders/shared/apgd.wgsl")),
    ("shared/argmax.wgsl", include_str!("../../shaders/shared/argmax.wgsl")),
    ("shared/float.wgsl", include_str!("../../shaders/shared/float.wgsl")),
    ("shared/grid.wgsl", include_str!("../../shaders/shared/grid.wgsl")),
    ("shared/l1.wgsl", include_str!("../../shaders/shared/l1.wgsl")),
    ("shared/lanes.wgsl", include_str!("../../shaders/shared/lanes.wgsl")),
    ("shared/loss.wgsl", include_str!("../../shaders/shared/loss.wgsl")),
    ("shared/pool.wgsl", include_str!("../../shaders/shared/pool.wgsl")),
    ("shared/random.wgsl", include_str!("../../shaders/shared/random.wgsl")),
    ("shared/reduce.wgsl", include_str!("../../shaders/shared/reduce.wgsl")),
    ("shared/row.wgsl", include_str!("../../shaders/shared/row.wgsl")),
    ("shared/square.wgsl", include_str!("../../shaders/shared/square.wgsl")),
    ("shared/turn.wgsl", include_str!("../../shaders/shared/turn.wgsl")),
    ("shared/variation.wgsl", include_str!("../../shaders/shared/variation.wgsl")),
    ("shared/window.wgsl", include_str!("../../shaders/shared/window.wgsl")),
];

/// What a kernel is, for lists, tests, benches and the launch.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// The stem of its shader and of its Rust file.
    pub name: &'static str,
    /// One line: what it computes, with its source where it has one.
    pub summary: &'static str,
    /// The shader's text, before its `//!include` lines are resolved.
    pub shader: &'static str,
    /// Invocations in a workgroup.
    pub workgroup: u32,
    /// Whether a workgroup works on one row; otherwise each of its invocations works on one element.
    pub per_row: bool,
    /// The tensors that it reads and writes, in the order of the bindings; the parameters' binding follows them.
    pub bindings: &'static [Binding],
    /// Name and byte offset of each parameter.
    pub parameters: &'static [(&'static str, usize)],
    /// Size of the parameters in bytes.
    pub parameters_size: usize,
    /// Ways of calling it that differ in parameters; at least one.
    pub variants: &'static [&'static str],
    /// Inputs of the given shape for tests and benches, in the order of the bindings, on a device.
    pub sample: fn(Shape, &burn::tensor::Device) -> Vec<Value>,
    /// Calls one of the variants with its inputs; gives its outputs. Both are in the order of the bindings.
    pub run: fn(usize, Vec<Value>) -> Vec<Value>,
}

impl Kernel {
    /// The complete WGSL: every line `//!include NAME` stands for the text of that name in [`SHARED`].
    ///
    /// # Panics
    /// Where a line names text that is not there.
    pub fn source(&self) -> String {
        let mut source = String::with_capacity(8192);
        for line in self.shader.lines() {
            match line.strip_prefix("//!include ") {
                Some(name) => source.push_str(shared(self.name, name.trim())),
                None => source.push_str(line),
            }
            source.push('\n');
        }
        source
    }

    /// The bindings that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = &'static Binding> + use<> {
        self.bindings.iter().filter(|binding| !binding.output)
    }

    /// The bindings that it writes.
    pub fn outputs(&self) -> impl Iterator<Item = &'static Binding> + use<> {
        self.bindings.iter().filter(|binding| binding.output)
    }
}

/// A tensor that a kernel reads or writes. An output's name is `out_` and the name of the input that it updates, where it updates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// What the buffer holds.
    pub element: Element,
    /// Whether the kernel writes it; every element, whatever was there.
    pub output: bool,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `f32`.
    Float,
    /// `i32`.
    Word,
    /// `i32` that hold bits, bytes or places: every bit counts.
    Bits,
    /// [`Row`](row::Row).
    Row,
    /// [`State`](row::State).
    State,
}

pub(crate) const fn input(name: &'static str, element: Element) -> Binding {
    Binding { name, element, output: false }
}

pub(crate) const fn output(name: &'static str, element: Element) -> Binding {
    Binding { name, element, output: true }
}

/// Names and offsets of a struct's fields, all of them, in order.
macro_rules! fields {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        &[$((stringify!($field), ::std::mem::offset_of!($type, $field))),+]
    };
}
pub(crate) use fields;

fn shared(kernel: &str, name: &str) -> &'static str {
    match SHARED.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => text,
        None => panic!("shader {kernel} includes {name}, which is not in SHARED"),
    }
}
