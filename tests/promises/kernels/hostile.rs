//! A NaN or an infinity in one row fails that row alone.

use burn::tensor::{Device, Int, Tensor, TensorData};
use gauntlet::kernel::row::{FAILED, Row, START_KEPT, State};
use gauntlet::kernel::{flags, l2_step, linf_step, momentum, words};

use super::{adapter, on_gpu, plain};
use crate::Promise;

const ROWS: usize = 6;
const VICTIM: usize = 3;

pub fn tests() -> Vec<Promise> {
    vec![
        plain("a NaN or an infinity fails its row alone", || planted(&Device::flex())),
        on_gpu("on an adapter a NaN or an infinity fails its row alone", || planted(&adapter::device())),
    ]
}

/// The value at the first, a middle and the last place of the victim's row.
fn planted(device: &Device) {
    for columns in [10, 300, 1757] {
        for column in [0, columns / 2, columns - 1] {
            for poison in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for fresh in [false, true] {
                    plant(device, columns, column, poison, fresh);
                }
            }
        }
    }
}

fn plant(device: &Device, columns: usize, column: usize, poison: f32, fresh: bool) {
    let clean: Vec<f32> = (0..ROWS * columns).map(|index| (index % 7) as f32 - 3.0).collect();
    let mut dirty = clean.clone();
    dirty[VICTIM * columns + column] = poison;
    // Among the running rows, the victim may be one that steps along a kept direction before its first forward pass.
    let row = |slot: usize| Row {
        epsilon: 0.1,
        step_size: 0.01,
        steps: 9,
        generation: if fresh && slot == VICTIM { 8 } else { 5 },
        start: START_KEPT,
        decay: 1.0,
        ..bytemuck::Zeroable::zeroed()
    };
    let state = State { generation: 5, step: 2, forwards: 2, backwards: 2, ..State::default() };
    let rows = words::upload(&(0..ROWS).map(row).collect::<Vec<_>>(), device);
    let state = words::upload(&[state; ROWS], device);
    let tensor = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [ROWS, columns]), device);
    let x = Tensor::<2>::full([ROWS, columns], 0.5, device);

    type Run<'a> = &'a dyn Fn(Tensor<2>) -> (Tensor<2>, Tensor<1, Int>);
    let linf: Run = &|g| linf_step(x.clone(), x.clone(), g, rows.clone(), state.clone());
    let l2: Run = &|g| l2_step(x.clone(), x.clone(), g, rows.clone(), state.clone());
    let momentum: Run = &|g| momentum(x.clone(), g, rows.clone(), state.clone());
    let flags: Run = &|g| (x.clone(), flags(g, rows.clone(), state.clone(), true));
    for (name, run) in [("linf_step", linf), ("l2_step", l2), ("momentum", momentum), ("flags", flags)] {
        if fresh && name == "momentum" {
            continue;
        }
        let what = format!("{name}, {poison} at {column} of {columns}, fresh {fresh}");
        let read =
            |(x, state): (Tensor<2>, Tensor<1, Int>)| (x.into_data().try_to_vec::<f32>().expect("floats"), words::download::<State>(state));
        let (want_x, want_states) = read(run(tensor(&clean)));
        let (got_x, got_states) = read(run(tensor(&dirty)));
        for slot in 0..ROWS {
            let part = slot * columns..(slot + 1) * columns;
            if slot == VICTIM {
                assert_eq!(got_states[slot].status, FAILED, "{what}");
                assert_eq!(got_states[slot].generation, if fresh { 8 } else { 5 }, "{what}");
                assert_eq!(got_states[slot].backwards, if fresh { 0 } else { 2 }, "{what}: counts of another row");
                assert!(got_x[part].iter().all(|value| *value == 0.5), "{what}: the failed row's point changed");
            } else {
                assert_ne!(got_states[slot].status, FAILED, "{what}, slot {slot}");
                assert_eq!(got_states[slot], want_states[slot], "{what}, slot {slot}");
                assert_eq!(got_x[part.clone()], want_x[part], "{what}, slot {slot}");
            }
        }
    }
}
