//! Devices on a simulated clock: `cargo bench --bench devices` prints the table of benches/README.md, in a second and alike on every machine.

#[path = "../tests/promises/shares/simulated.rs"]
mod simulated;

use simulated::{Machine, by_arithmetic, equal, mixed, rows, run};

const EXAMPLES: usize = 10_000;
/// What stands under AutoAttack of `mnist-cnn-pgd`, `cifar10-resnet2b-pgd`, `fashion-cnn-certified` and `mnist-lenet5-standard`.
const STAND: [f64; 4] = [0.855, 0.4133, 0.0078, 0.0];

fn main() {
    table("launches", |machines| machines);
    table("arithmetic", by_arithmetic);
}

fn table(bound: &str, as_bound: fn(Vec<Machine>) -> Vec<Machine>) {
    for slots in [64, 256] {
        println!("\n| {slots} slots a device, bound by {bound} | {} |", STAND.map(|stand| format!("{stand} stand")).join(" | "));
        println!("| --- |{}", " --- |".repeat(STAND.len()));
        for count in [1, 2, 4, 8, 16, 32, 64] {
            line(&format!("{count} equal"), &as_bound(equal(count, slots)));
        }
        for times in [&[1.0, 1.0, 10.0][..], &[1.0, 2.0, 4.0], &[1.0, 4.0, 4.0], &[1.0, 100.0]] {
            let name: Vec<String> = times.iter().map(f64::to_string).collect();
            line(&name.join(" : "), &as_bound(mixed(times, slots)));
        }
    }
}

fn line(name: &str, machines: &[Machine]) {
    let cell = |stand| {
        let outcome = run(machines, &rows(EXAMPLES, stand));
        format!("{:.1} / {:.1} / {:.1}", 100.0 * outcome.busy, 100.0 * outcome.of_bound, outcome.seconds / 1000.0)
    };
    println!("| {name} | {} |", STAND.map(cell).join(" | "));
}
