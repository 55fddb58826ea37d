//! What gauntlet promises, one module a promise, in one binary, since each test binary links all of Burn.
//!
//! The harness is libtest's in all but one thing: whether a test is ignored is decided when it runs. Tests that want an adapter are
//! listed as ignored where there is none; with `GAUNTLET_REQUIRE_ADAPTER=1` they must run.

use libtest_mimic::{Arguments, Trial};

/// Lists the tests of a module, and those of the modules in brackets.
macro_rules! promises {
    ($([$($child:ident),* $(,)?])? $($name:ident),* $(,)?) => {
        pub fn tests() -> Vec<crate::Promise> {
            #[allow(unused_mut)]
            let mut tests = vec![$(crate::Promise {
                name: concat!(module_path!(), "::", stringify!($name)),
                needs_adapter: false,
                run: $name,
            }),*];
            $($(tests.extend($child::tests());)*)?
            tests
        }
    };
}

#[path = "promises/adapter.rs"]
mod adapter;
#[path = "promises/apgd.rs"]
mod apgd;
#[path = "promises/attacks.rs"]
mod attacks;
#[path = "promises/bench_model.rs"]
mod bench_model;
#[path = "promises/certify.rs"]
mod certify;
#[path = "promises/checks.rs"]
mod checks;
#[path = "promises/compare.rs"]
mod compare;
#[path = "promises/data.rs"]
mod data;
#[path = "promises/devices.rs"]
mod devices;
#[path = "promises/engine.rs"]
mod engine;
#[path = "promises/fab.rs"]
mod fab;
#[path = "promises/forecast.rs"]
mod forecast;
#[path = "promises/frozen.rs"]
mod frozen;
#[path = "promises/fuzz.rs"]
mod fuzz;
#[path = "promises/graph.rs"]
mod graph;
#[path = "promises/kernels.rs"]
mod kernels;
#[path = "promises/malformed.rs"]
mod malformed;
#[path = "promises/numbers.rs"]
mod numbers;
#[path = "promises/onnx.rs"]
mod onnx;
#[path = "promises/page.rs"]
mod page;
#[path = "promises/parity.rs"]
mod parity;
#[path = "promises/precision.rs"]
mod precision;
#[path = "promises/reference.rs"]
mod reference;
#[path = "promises/report.rs"]
mod report;
#[path = "promises/runs.rs"]
mod runs;
#[path = "promises/shares.rs"]
mod shares;
#[path = "promises/square.rs"]
mod square;
#[path = "promises/store.rs"]
mod store;
#[path = "promises/suite.rs"]
mod suite;
#[path = "promises/trainers.rs"]
mod trainers;
#[path = "promises/training.rs"]
mod training;
#[path = "promises/weights.rs"]
mod weights;
#[path = "promises/wrappers.rs"]
mod wrappers;

/// A test.
pub struct Promise {
    /// What it promises.
    pub name: &'static str,
    /// Whether it runs on a graphics adapter.
    pub needs_adapter: bool,
    /// Panics where the promise is broken.
    pub run: fn(),
}

fn main() {
    let arguments = Arguments::from_args();
    let required = std::env::var_os("GAUNTLET_REQUIRE_ADAPTER").is_some_and(|value| value == "1");
    let adapter = required || gauntlet::device::list().iter().any(|adapter| adapter.index.is_some());
    let modules = [
        ("apgd", apgd::tests()),
        ("attacks", attacks::tests()),
        ("certify", certify::tests()),
        ("checks", checks::tests()),
        ("compare", compare::tests()),
        ("data", data::tests()),
        ("devices", devices::tests()),
        ("engine", engine::tests()),
        ("fab", fab::tests()),
        ("forecast", forecast::tests()),
        ("frozen", frozen::tests()),
        ("fuzz", fuzz::tests()),
        ("graph", graph::tests()),
        ("kernels", kernels::tests()),
        ("malformed", malformed::tests()),
        ("numbers", numbers::tests()),
        ("onnx", onnx::tests()),
        ("page", page::tests()),
        ("parity", parity::tests()),
        ("precision", precision::tests()),
        ("report", report::tests()),
        ("runs", runs::tests()),
        ("shares", shares::tests()),
        ("square", square::tests()),
        ("store", store::tests()),
        ("suite", suite::tests()),
        ("trainers", trainers::tests()),
        ("training", training::tests()),
        ("weights", weights::tests()),
        ("wrappers", wrappers::tests()),
    ];
    let trials = modules.into_iter().flat_map(|(module, tests)| tests.into_iter().map(move |test| (module, test))).map(|(module, test)| {
        // A test that names its own module path keeps it, so that it can be run alone by that name.
        let name = test.name.split_once("::").map_or_else(|| format!("{module}: {}", test.name), |(_, path)| path.to_owned());
        let run = test.run;
        Trial::test(name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(test.needs_adapter && !adapter)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
