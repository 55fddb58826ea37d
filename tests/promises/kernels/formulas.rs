//! The twins against values worked out by hand from the formulas.

use burn::tensor::{Device, Int, Tensor, TensorData};
use gauntlet::kernel::row::{
    BROKEN, FAILED, LAST, MARGIN, RUNNING, Row, START_KEPT, START_ORIGIN, START_RANDOM, SURVIVED, State, TARGETED,
};
use gauntlet::kernel::{admit, distances, flags, keep_best, l2_step, linf_step, loss_gradient, momentum, random_start, words};
use gauntlet::threat::Norm;

use super::plain;
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    vec![
        plain("admission replaces the chosen slots and no other", admission),
        plain("a fresh row starts where its row says, and others stay", starts),
        plain("a linf step follows the sign and stays in the ball and in the box", linf_steps),
        plain("an l2 step has the step's length and stays in the ball and in the box", l2_steps),
        plain("tiny and huge directions have a length too", extreme_directions),
        plain("a fresh row that keeps a direction steps from its origin, and its state stays", kept_directions),
        plain("momentum adds gradients of l1 norm 1 and forgets the row before", momenta),
        plain("the loss gradients are those of cross-entropy and margin, towards and away", loss_gradients),
        plain("bookkeeping starts, counts, breaks, survives and scores rows", bookkeeping),
        plain("with LAST a success before the last step does not end a row", last_iterate),
        plain("the best point is kept where the score improved", best_points),
        plain("distances are counted in every norm", all_distances),
        plain("a tensor of another shape is refused with both shapes", wrong_shapes),
    ]
}

fn floats<const C: usize, const R: usize>(values: [[f32; C]; R]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.concat(), [R, C]), &Device::flex())
}

fn read(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("floats")
}

fn upload<T: bytemuck::Pod>(records: &[T]) -> Tensor<1, Int> {
    words::upload(records, &Device::flex())
}

fn row() -> Row {
    Row { epsilon: 0.25, step_size: 0.125, steps: 3, generation: 2, decay: 0.5, key: [1, 2], ..bytemuck::Zeroable::zeroed() }
}

fn running() -> State {
    State { generation: 2, step: 2, forwards: 2, backwards: 2, best: -9.0, ..State::default() }
}

fn assert_near(got: &[f32], want: &[f32]) {
    let near = got.len() == want.len() && got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1e-6);
    assert!(near, "{got:?} is not near {want:?}");
}

fn admission() {
    let slots = floats([[0.0, 0.1], [0.2, 0.3], [0.4, 0.5], [0.6, 0.7]]);
    let source = floats([[1.0, 1.1], [1.2, 1.3]]);
    let out = admit(slots, source, upload(&[1, -1, 0, 2]));
    assert_eq!(read(out), [1.2, 1.3, 0.2, 0.3, 1.0, 1.1, 0.6, 0.7]);
}

fn starts() {
    let rows = [
        Row { start: START_ORIGIN, generation: 3, ..row() },
        Row { start: START_RANDOM, generation: 3, ..row() },
        Row { start: START_KEPT, generation: 3, ..row() },
        Row { start: START_RANDOM, ..row() },
        Row { generation: 0, ..row() },
    ];
    let x = || Tensor::<2>::full([5, 3], 0.75, &Device::flex());
    let origin = || Tensor::<2>::full([5, 3], 0.125, &Device::flex());
    let state = upload(&[running(); 5]);
    for norm in [Norm::Linf, Norm::L2] {
        let out = read(random_start(x(), origin(), upload(&rows), state.clone(), norm, false));
        assert_eq!(out[..3], [0.125; 3]);
        assert!(out[3..6].iter().all(|value| (0.0..=0.375).contains(value)), "{out:?}");
        assert_ne!(out[3..6], [0.125; 3]);
        assert_eq!(out[6..], [0.75; 9]);
        let again = read(random_start(x(), origin(), upload(&rows), state.clone(), norm, true));
        assert!(again[..12].iter().all(|value| (0.0..=0.375).contains(value)), "{again:?}");
        assert_eq!(again[12..], [0.75; 3]);
        // The running row draws at its step, the fresh one of the same key at step 0.
        assert_eq!(again[3..6], out[3..6]);
        assert_ne!(again[9..12], again[3..6]);
    }
}

type Step = fn(Tensor<2>, Tensor<2>, Tensor<2>, Tensor<1, Int>, Tensor<1, Int>) -> (Tensor<2>, Tensor<1, Int>);

fn step(kernel: Step, [x, origin, direction]: [Tensor<2>; 3], row: Row, state: State) -> (Vec<f32>, State) {
    let (x, state) = kernel(x, origin, direction, upload(&[row]), upload(&[state]));
    (read(x), words::download(state)[0])
}

fn linf_steps() {
    let x = floats([[0.5, 0.5, 0.5, 0.75, 0.0, 1.0]]);
    let origin = floats([[0.5, 0.5, 0.5, 0.5, 0.0, 1.0]]);
    let direction = floats([[3.0, -0.1, 0.0, 1.0, -1.0, 1e-40]]);
    let (out, state) = step(linf_step, [x.clone(), origin.clone(), direction.clone()], row(), running());
    assert_eq!(out, [0.625, 0.375, 0.5, 0.75, 0.0, 1.0]);
    assert_eq!(state, running());
    // Without a step it is the projection.
    let far = floats([[0.9, 0.1, 0.5, 2.0, -1.0, 0.8]]);
    let (out, _) = step(linf_step, [far, origin.clone(), direction.zeros_like()], row(), running());
    assert_eq!(out, [0.75, 0.25, 0.5, 0.75, 0.0, 0.8]);
    // A row that is not running stays.
    for status in [BROKEN, SURVIVED, FAILED] {
        let state = State { status, ..running() };
        let (out, after) = step(linf_step, [x.clone(), origin.clone(), direction.clone()], row(), state);
        assert_eq!((out, after), (read(x.clone()), state));
    }
}

fn l2_steps() {
    let origin = floats([[0.5, 0.5]]);
    let (out, state) = step(l2_step, [origin.clone(), origin.clone(), floats([[3.0, -4.0]])], row(), running());
    assert_near(&out, &[0.575, 0.4]);
    assert_eq!(state, running());
    // Beyond the ball: back onto it. (0.8, 0.9) is (0.3, 0.4) away, at distance 0.5, twice the radius.
    let (out, _) = step(l2_step, [floats([[0.8, 0.9]]), origin.clone(), floats([[0.0, 0.0]])], row(), running());
    assert_near(&out, &[0.65, 0.7]);
    // Beyond the box: clipped after the projection.
    let corner = floats([[0.0, 1.0]]);
    let (out, _) = step(l2_step, [corner.clone(), corner, floats([[-1.0, 0.0]])], row(), running());
    assert_eq!(out, [0.0, 1.0]);
    // Radius 0 is the origin.
    let (out, _) = step(l2_step, [floats([[0.8, 0.9]]), origin, floats([[1.0, 1.0]])], Row { epsilon: 0.0, ..row() }, running());
    assert_eq!(out, [0.5, 0.5]);
}

fn extreme_directions() {
    let origin = floats([[0.5, 0.5]]);
    for scale in [1e-37, 1e-30, 1e30, 8e37] {
        let (out, _) = step(l2_step, [origin.clone(), origin.clone(), floats([[3.0 * scale, -4.0 * scale]])], row(), running());
        assert_near(&out, &[0.575, 0.4]);
        let (m, _) = momentum(origin.zeros_like(), floats([[3.0 * scale, -4.0 * scale]]), upload(&[row()]), upload(&[running()]));
        assert_near(&read(m), &[3.0 / 7.0, -4.0 / 7.0]);
    }
    let (out, _) = step(l2_step, [origin.clone(), origin.clone(), floats([[1e-40, 0.0]])], row(), running());
    assert_eq!(out, [0.5, 0.5]);
}

fn kept_directions() {
    let (x, origin, direction) = (floats([[0.9, 0.9]]), floats([[0.5, 0.5]]), floats([[1.0, 0.0]]));
    let fresh = Row { generation: 3, start: START_KEPT, ..row() };
    for kernel in [linf_step as Step, l2_step] {
        let (out, state) = step(kernel, [x.clone(), origin.clone(), direction.clone()], fresh, running());
        assert_eq!((out.as_slice(), state), ([0.625, 0.5].as_slice(), running()));
        let other = Row { start: START_RANDOM, ..fresh };
        let (out, _) = step(kernel, [x.clone(), origin.clone(), direction.clone()], other, running());
        assert_eq!(out, [0.9, 0.9]);
    }
}

fn momenta() {
    let gradient = floats([[1.0, -3.0]; 4]);
    let m = floats([[0.5, 0.5]; 4]);
    let states = [running(), State { step: 1, ..running() }, State { status: BROKEN, ..running() }, running()];
    let rows = [row(), row(), row(), Row { generation: 0, ..row() }];
    let (out, after) = momentum(m.clone(), gradient.clone(), upload(&rows), upload(&states));
    assert_near(&read(out), &[0.5, -0.5, 0.25, -0.75, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(words::download::<State>(after), states);
    let (out, _) = momentum(m, gradient.zeros_like(), upload(&rows), upload(&states));
    assert_near(&read(out), &[0.25, 0.25, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]);
}

fn loss_gradients() {
    // softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8.
    let z = [0.0, 2.0_f32.ln(), 5.0_f32.ln()];
    let cases = [
        (Row { label: 1, ..row() }, [0.125, -0.75, 0.625]),
        (Row { label: 1, target: 0, flags: TARGETED, ..row() }, [0.875, -0.25, -0.625]),
        (Row { label: 1, flags: MARGIN, ..row() }, [0.0, -1.0, 1.0]),
        (Row { label: 2, flags: MARGIN, ..row() }, [0.0, 1.0, -1.0]),
        (Row { target: 0, flags: MARGIN | TARGETED, ..row() }, [1.0, 0.0, -1.0]),
    ];
    for (row, want) in cases {
        let out = loss_gradient(floats([z]), upload(&[row]), upload(&[running()]));
        assert_near(&read(out), &want);
        let out = loss_gradient(floats([z]), upload(&[row]), upload(&[State { status: BROKEN, ..running() }]));
        assert_eq!(read(out), [0.0; 3]);
    }
    // Huge logits do not overflow, and the first of several largest is the best.
    let out = loss_gradient(floats([[1e30, -1e30, 1e30]]), upload(&[Row { label: 1, ..row() }]), upload(&[running()]));
    assert_eq!(read(out), [0.5, -1.0, 0.5]);
    let tie = Row { label: 1, flags: MARGIN, ..row() };
    assert_eq!(read(loss_gradient(floats([[2.0, 0.0, 2.0]]), upload(&[tie]), upload(&[running()]))), [1.0, -1.0, 0.0]);
}

fn after(z: [f32; 3], row: Row, state: State, gradients: bool) -> State {
    words::download(flags(floats([z]), upload(&[row]), upload(&[state]), gradients))[0]
}

fn bookkeeping() {
    let z = [0.0, 2.0_f32.ln(), 5.0_f32.ln()];
    let right = Row { label: 2, ..row() };
    // A fresh row begins, whatever the slot's last row left.
    let state = after(z, Row { generation: 3, ..right }, State { status: FAILED, best: 99.0, improved: 1, ..running() }, true);
    let score = 2.0_f32.ln() - 5.0_f32.ln();
    let begun =
        State { generation: 3, status: RUNNING, step: 1, forwards: 1, backwards: 1, prediction: 2, improved: 1, ..State::default() };
    assert_eq!(state, State { score, best: score, loss: state.loss, ..begun });
    assert_near(&[state.loss], &[-(5.0_f32 / 8.0).ln()]);
    // Only the state's step goes up where no gradient is taken.
    let state = after(z, right, running(), false);
    assert_eq!((state.step, state.forwards, state.backwards), (3, 3, 2));
    // A worse score improves nothing, and the best stays.
    let state = after(z, right, State { best: 0.5, ..running() }, true);
    assert_eq!((state.improved, state.best, state.score), (0, 0.5, score));
    // Out of steps.
    let state = after(z, right, State { step: 3, ..running() }, true);
    assert_eq!((state.status, state.step, state.forwards, state.backwards), (SURVIVED, 3, 3, 2));
    // Success, untargeted and targeted; the score is above 0.
    let state = after(z, Row { label: 1, ..row() }, running(), true);
    assert_eq!((state.status, state.step, state.score > 0.0), (BROKEN, 2, true));
    let targeted = Row { label: 1, target: 2, flags: TARGETED, ..row() };
    let state = after(z, targeted, running(), true);
    assert_eq!((state.status, state.score > 0.0), (BROKEN, true));
    assert_near(&[state.loss], &[(5.0_f32 / 8.0).ln()]);
    let state = after(z, Row { target: 0, ..targeted }, running(), true);
    assert_eq!((state.status, state.score < 0.0), (RUNNING, true));
    // The margin as the loss.
    assert_eq!(after(z, Row { flags: MARGIN, ..right }, running(), true).loss, score);
    // The first of several largest logits is the prediction.
    assert_eq!(after([1.0, 3.0, 3.0], right, running(), true).prediction, 1);
    // Rows that are done keep their state but for `improved`; an empty slot keeps all.
    let done = State { status: SURVIVED, improved: 1, ..running() };
    assert_eq!(after(z, right, done, true), State { improved: 0, ..done });
    assert_eq!(after(z, Row { generation: 0, ..right }, done, true), done);
}

fn last_iterate() {
    let z = [0.0, 1.0, 2.0];
    let row = Row { label: 1, flags: LAST, ..row() };
    let state = after(z, row, running(), true);
    assert_eq!((state.status, state.step), (RUNNING, 3));
    let state = after(z, row, state, true);
    assert_eq!((state.status, state.step), (BROKEN, 3));
    let state = after([0.0, 2.0, 1.0], row, State { step: 3, ..running() }, true);
    assert_eq!(state.status, SURVIVED);
}

fn best_points() {
    let states = [State { improved: 1, ..running() }, running(), State { improved: 1, generation: 1, ..running() }];
    let out = keep_best(floats([[0.1], [0.2], [0.3]]), floats([[0.6], [0.7], [0.8]]), upload(&[row(); 3]), upload(&states));
    assert_eq!(read(out), [0.6, 0.2, 0.3]);
}

fn all_distances() {
    let out = distances(floats([[0.5, 0.25, 1.0], [0.5, 0.5, 0.5]]), floats([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]));
    assert_near(&read(out), &[2.0, 0.75, 0.3125_f32.sqrt(), 0.5, 0.0, 0.0, 0.0, 0.0]);
}

fn wrong_shapes() {
    let panic = std::panic::catch_unwind(|| distances(floats([[0.5, 0.5]]), floats([[0.5]]))).expect_err("shapes differ");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("distances: origin") && message.contains("[1, 2]") && message.contains("[1, 1]"), "{message}");
}
