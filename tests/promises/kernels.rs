//! The kernels: every shader is sound, says the same as its Rust side, and computes what its twin computes; every twin computes what the
//! formula says.

#[path = "kernels/compare.rs"]
mod compare;
#[path = "kernels/formulas.rs"]
mod formulas;
#[path = "kernels/hostile.rs"]
mod hostile;
#[path = "kernels/on_adapter.rs"]
mod on_adapter;
#[path = "kernels/random.rs"]
mod random;
#[path = "kernels/shaders.rs"]
mod shaders;

use super::adapter;
use crate::Promise;

/// The tests of this module.
pub fn tests() -> Vec<Promise> {
    [shaders::tests(), formulas::tests(), random::tests(), hostile::tests(), compare::tests(), on_adapter::tests()]
        .into_iter()
        .flatten()
        .collect()
}

/// A test that runs on the CPU.
fn plain(name: &'static str, run: fn()) -> Promise {
    Promise { name, needs_adapter: false, run }
}

/// A test that wants an adapter.
fn on_gpu(name: &'static str, run: fn()) -> Promise {
    Promise { name, needs_adapter: true, run }
}
