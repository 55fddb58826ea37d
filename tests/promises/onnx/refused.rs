//! What is not read is refused with the way out, and nothing in a file brings the reader down.

use std::panic::catch_unwind;

use gauntlet::Error;
use gauntlet::onnx::{Declared, Layout, Range, read, read_bytes};

use super::file::{field, floats, int, ints, model, node, number, tensor, value, whole, with};
use super::fixture;

promises! {
    missing_operators_and_opsets_are_named_all_at_once,
    what_a_file_leaves_open_is_asked_for_by_its_field,
    a_batch_that_the_graph_relies_on_is_refused,
    malformed_files_are_errors,
    damaged_files_never_panic,
    numbers_in_other_files_are_read_from_the_folder_alone,
}

fn refused(bytes: &[u8], declared: &Declared) -> Error {
    read_bytes(bytes, None, declared).err().unwrap()
}

/// The message with its way out and those of the errors in it.
fn text(error: &Error) -> String {
    format!("{error:?}")
}

fn dense(name: &str) -> [Vec<u8>; 2] {
    [node("Flatten", &[name], &["f"], &[]), node("Gemm", &["f", "w"], &["y"], &[])]
}

fn missing_operators_and_opsets_are_named_all_at_once() {
    let nodes = [
        node("Einsum", &["x"], &["a"], &[]),
        node("STFT", &["a"], &["b"], &[]),
        node("STFT", &["b"], &["c"], &[]),
        node("ArgMax", &["x"], &["unused"], &[]),
    ];
    let [flatten, gemm] = dense("c");
    let bytes = with(
        &[&nodes[..], &[flatten, gemm]].concat(),
        &[floats("w", &[4, 3])],
        &[value("x", 1, &[0, 1, 2, 2])],
        &[value("label", 7, &[0]), value("y", 1, &[0, 3])],
        9,
        &[],
    );
    let error = refused(&bytes, &Declared::default());
    assert_eq!(error.all().len(), 3, "{error:?}");
    let text = text(&error);
    for part in ["opset 9", "Einsum", "\"a\"", "STFT", "nodes \"b\", \"c\"", "matrix product", "opset_version=17"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("ArgMax"), "{text}");
}

fn what_a_file_leaves_open_is_asked_for_by_its_field() {
    let plain = |sides: &[i64], element: i64| {
        with(&dense("x"), &[floats("w", &[27, 3])], &[value("x", element, sides)], &[value("y", 1, &[0, 3])], 17, &[])
    };
    let shape = Some([3, 3, 3]);
    let cases = [
        (plain(&[0, 3, 3, 3], 1), Declared { shape, ..Declared::default() }, "layout = "),
        (plain(&[0, 0, 0, 0], 1), Declared::default(), "layout = "),
        (plain(&[0, 3, 0, 0], 1), Declared { layout: Some(Layout::Nchw), ..Declared::default() }, "shape = "),
        (plain(&[0, 27], 1), Declared { shape, ..Declared::default() }, "layout = "),
        (plain(&[0, 3, 3, 3], 2), Declared { shape, layout: Some(Layout::Nchw), ..Declared::default() }, "range = "),
        (plain(&[0, 3, 3, 4], 1), Declared { shape: Some([4, 3, 3]), layout: Some(Layout::Nchw), ..Declared::default() }, "contradicts"),
        (plain(&[0, 3, 9, 9], 1), Declared { shape, ..Declared::default() }, "does not take images of 3 x 3 x 3"),
        (plain(&[0, 27], 1), Declared { classes: Some(10), ..Declared::default() }, "3 classes, the data have 10"),
        (plain(&[0, 27], 8), Declared::default(), "string"),
        (plain(&[0, 3, 3, 3, 1], 1), Declared::default(), "takes no images"),
    ];
    for (bytes, declared, words) in cases {
        let error = refused(&bytes, &declared);
        assert!(text(&error).contains(words), "{words}: {error:?}");
    }
    for layout in [Layout::Nchw, Layout::Nhwc] {
        assert!(read_bytes(&plain(&[0, 3, 3, 3], 1), None, &Declared { shape, layout: Some(layout), ..Declared::default() }).is_ok());
    }
    let error = read(&fixture("keras-rescaling.onnx"), &Declared { shape: Some([1, 6, 6]), ..Declared::default() }).unwrap_err();
    assert!(text(&error).contains("range = \"0..255\"") && text(&error).contains("keras-rescaling.onnx"), "{error:?}");
    assert!(read(&fixture("keras-rescaling.onnx"), &Declared { range: Some(Range::Unit), ..Declared::default() }).is_ok());
}

fn a_batch_that_the_graph_relies_on_is_refused() {
    let nodes = [node("Reshape", &["x", "s"], &["r"], &[]), node("Gemm", &["r", "w"], &["y"], &[])];
    let fixed = |shape: &[i64]| {
        with(&nodes, &[whole("s", shape), floats("w", &[4, 3])], &[value("x", 1, &[2, 1, 2, 2])], &[value("y", 1, &[2, 3])], 17, &[])
    };
    let model = read_bytes(&fixed(&[2, 4]), None, &Declared::default()).unwrap();
    assert!(model.notes.iter().any(|note| note.contains("fixes the batch to 2")), "{:?}", model.notes);
    let error = refused(&fixed(&[8, 1]), &Declared::default());
    assert!(text(&error).contains("Gemm"), "{error:?}");
    let sum = [node("Flatten", &["x"], &["f"], &[]), node("Add", &["f", "c"], &["y"], &[])];
    let bytes = with(&sum, &[floats("c", &[2, 4])], &[value("x", 1, &[2, 1, 2, 2])], &[value("y", 1, &[2, 4])], 17, &[]);
    assert!(text(&refused(&bytes, &Declared::default())).contains("broadcast"), "{:?}", refused(&bytes, &Declared::default()));
}

/// Malformed files by what is wrong with them.
pub fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let [flatten, gemm] = dense("x");
    let w = floats("w", &[4, 3]);
    let good = model(&[flatten.clone(), gemm.clone()], std::slice::from_ref(&w));
    assert!(read_bytes(&good, None, &Declared::default()).is_ok());
    let one = |node: Vec<u8>, constants: &[Vec<u8>]| model(&[node, gemm.clone()], &[constants, std::slice::from_ref(&w)].concat());
    let huge = i64::MAX / 2;
    let call = |inner: &str| {
        [
            field(1, "again"),
            field(4, "a"),
            field(5, "b"),
            field(7, [node(inner, &["a"], &["b"], &[]), field(7, "own")].concat()),
            field(10, "own"),
        ]
        .concat()
    };
    let calls = [[node("again", &["x"], &["z"], &[]), field(7, "own")].concat(), node("Flatten", &["z"], &["f"], &[]), gemm.clone()];
    let with_function = |functions: &[Vec<u8>]| {
        with(&calls, std::slice::from_ref(&w), &[value("x", 1, &[0, 1, 2, 2])], &[value("y", 1, &[0, 3])], 17, functions)
    };
    assert!(read_bytes(&with_function(&[call("Relu").replace_domain()]), None, &Declared::default()).is_ok());
    vec![
        ("empty", Vec::new()),
        ("text", b"not an onnx file at all, just text".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("millions of empty nodes", field(7, [10, 0].repeat(1 << 23))),
        ("no nodes", model(&[], &[])),
        ("no output", with(&[flatten.clone(), gemm.clone()], std::slice::from_ref(&w), &[value("x", 1, &[0, 1, 2, 2])], &[], 17, &[])),
        (
            "no opset",
            with(
                &[flatten.clone(), gemm.clone()],
                std::slice::from_ref(&w),
                &[value("x", 1, &[0, 1, 2, 2])],
                &[value("y", 1, &[0, 3])],
                0,
                &[],
            ),
        ),
        ("missing weight", model(&[flatten.clone(), gemm.clone()], &[])),
        ("constant twice", model(&[flatten.clone(), gemm.clone()], &[w.clone(), w.clone()])),
        ("name written twice", model(&[flatten.clone(), flatten.clone(), gemm.clone()], std::slice::from_ref(&w))),
        (
            "circle",
            model(
                &[
                    node("Add", &["x", "b"], &["a"], &[]),
                    node("Relu", &["a"], &["b"], &[]),
                    node("Flatten", &["b"], &["f"], &[]),
                    gemm.clone(),
                ],
                std::slice::from_ref(&w),
            ),
        ),
        ("own input", one(node("Add", &["x", "f"], &["f"], &[]), &[])),
        (
            "two inputs",
            with(
                &[node("Add", &["x", "x2"], &["a"], &[]), node("Flatten", &["a"], &["f"], &[]), gemm.clone()],
                std::slice::from_ref(&w),
                &[value("x", 1, &[0, 1, 2, 2]), value("x2", 1, &[0, 1, 2, 2])],
                &[value("y", 1, &[0, 3])],
                17,
                &[],
            ),
        ),
        ("huge sides", model(&[flatten.clone(), gemm.clone()], &[tensor("w", 1, &[huge, huge], &[0; 48])])),
        ("negative side", model(&[flatten.clone(), gemm.clone()], &[tensor("w", 1, &[-4, -3], &[0; 48])])),
        ("too few numbers", model(&[flatten.clone(), gemm.clone()], &[tensor("w", 1, &[4, 3], &[0; 44])])),
        ("text as weight", model(&[flatten.clone(), gemm.clone()], &[tensor("w", 8, &[4, 3], &[0; 48])])),
        ("unknown element type", model(&[flatten.clone(), gemm.clone()], &[tensor("w", 99, &[4, 3], &[0; 48])])),
        ("constant of huge shape", one(node("ConstantOfShape", &["s"], &["f"], &[]), &[whole("s", &[1 << 40, 1 << 10])])),
        ("constant of negative shape", one(node("ConstantOfShape", &["s"], &["f"], &[]), &[whole("s", &[-1, 4])])),
        (
            "endless range",
            model(
                &[node("Range", &["a", "b", "c"], &["r"], &[]), node("Add", &["x", "r"], &["f"], &[]), gemm.clone()],
                &[
                    w.clone(),
                    tensor("a", 7, &[], &0_i64.to_le_bytes()),
                    tensor("b", 7, &[], &huge.to_le_bytes()),
                    tensor("c", 7, &[], &1_i64.to_le_bytes()),
                ],
            ),
        ),
        ("huge expand", one(node("Expand", &["x", "s"], &["f"], &[]), &[whole("s", &[1, 1 << 30, 2, 2])])),
        ("huge tile", one(node("Tile", &["x", "s"], &["f"], &[]), &[whole("s", &[1, 1 << 40, 1, 1])])),
        ("huge padding", one(node("Pad", &["x", "s"], &["f"], &[]), &[whole("s", &[0, 0, huge, 0, 0, 0, 0, 0])])),
        ("huge window", one(node("MaxPool", &["x"], &["f"], &[ints("kernel_shape", &[huge, 2])]), &[])),
        ("no window", one(node("MaxPool", &["x"], &["f"], &[]), &[])),
        ("stride 0", one(node("MaxPool", &["x"], &["f"], &[ints("kernel_shape", &[2, 2]), ints("strides", &[0, 0])]), &[])),
        ("axis out of range", one(node("Softmax", &["x"], &["f"], &[int("axis", i64::MIN)]), &[])),
        ("order with an axis twice", one(node("Transpose", &["x"], &["f"], &[ints("perm", &[0, 1, 1, 2])]), &[])),
        ("reshape to more", one(node("Reshape", &["x", "s"], &["f"], &[]), &[whole("s", &[-1, huge, huge])])),
        ("two open sides", one(node("Reshape", &["x", "s"], &["f"], &[]), &[whole("s", &[-1, -1])])),
        ("slice by 0", one(node("Slice", &["x", "s", "s", "s", "s"], &["f"], &[]), &[whole("s", &[0])])),
        ("gather beyond the end", one(node("Gather", &["x", "s"], &["f"], &[int("axis", 3)]), &[whole("s", &[7])])),
        ("attribute of another kind", one(node("Flatten", &["x"], &["f"], &[ints("axis", &[1])]), &[])),
        ("no inputs", one(node("Relu", &[], &["f"], &[]), &[])),
        ("function that calls itself", with_function(&[call("again")])),
        ("function twice", with_function(&[call("Relu"), call("Relu")])),
        ("zero groups", model(&[node("Conv", &["x", "w"], &["y"], &[int("group", 0)])], &[floats("w", &[3, 1, 2, 2])])),
        ("integer minimum divided", one(node("Div", &["s", "t"], &["f"], &[]), &[whole("s", &[i64::MIN]), whole("t", &[-1])])),
    ]
}

fn malformed_files_are_errors() {
    for (name, bytes) in malformed() {
        let result = catch_unwind(|| read_bytes(&bytes, None, &Declared::default()).map(|model| model.graph));
        match result {
            Ok(Err(error)) => assert!(!error.message().is_empty(), "{name}"),
            Ok(Ok(graph)) => panic!("{name} was read: {graph:?}"),
            Err(_) => panic!("{name} panics"),
        }
    }
}

/// A function's body that uses ONNX's own operators.
trait ReplaceDomain {
    fn replace_domain(self) -> Self;
}

impl ReplaceDomain for Vec<u8> {
    fn replace_domain(self) -> Self {
        let inner = node("Relu", &["a"], &["b"], &[]);
        [field(1, "again"), field(4, "a"), field(5, "b"), field(7, inner), field(10, "own"), field(9, number(2, 17))].concat()
    }
}

fn damaged_files_never_panic() {
    let mut state = 1_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut read_all_the_same = 0;
    for name in ["functions", "tf2onnx-nhwc", "script-fixed-batch-13", "sklearn-mlp-binary"] {
        let good = std::fs::read(fixture(&format!("{name}.onnx"))).unwrap();
        for round in 0..200 {
            let mut bytes = good.clone();
            for _ in 0..1 + round % 4 {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = next(256) as u8,
                    1 => bytes[at] ^= 1 << next(8),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let result = catch_unwind(|| read_bytes(&bytes, None, &Declared::default()).is_ok());
            read_all_the_same += usize::from(result.unwrap_or_else(|_| panic!("{name}, round {round} panics")));
        }
    }
    assert!(read_all_the_same > 0, "no damage spares the weights' bytes");
}

fn numbers_in_other_files_are_read_from_the_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("models");
    std::fs::create_dir(&inside).unwrap();
    let numbers: Vec<u8> = (0..16).flat_map(|at| (at as f32).to_le_bytes()).collect();
    std::fs::write(inside.join("w.bin"), &numbers).unwrap();
    std::fs::write(folder.path().join("w.bin"), &numbers).unwrap();
    let outside = |location: &str, offset: &str| {
        let entry = |key: &str, value: &str| field(13, [field(1, key), field(2, value)].concat());
        let weight =
            [number(1, 4), number(1, 3), number(2, 1), field(8, "w"), entry("location", location), entry("offset", offset), number(14, 1)]
                .concat();
        std::fs::write(inside.join("m.onnx"), model(&dense("x"), &[weight])).unwrap();
        read(&inside.join("m.onnx"), &Declared::default())
    };
    let model = outside("w.bin", "16").unwrap();
    // [in, out] in the file, [out, in] here.
    assert_eq!(model.weights.0["w"], (vec![3, 4], [4.0, 7.0, 10.0, 13.0, 5.0, 8.0, 11.0, 14.0, 6.0, 9.0, 12.0, 15.0].to_vec()));
    for (location, offset, words) in [
        ("../w.bin", "0", "outside"),
        ("/etc/hostname", "0", "outside"),
        ("w.bin", "20", "48 bytes from 20"),
        ("w.bin", "18446744073709551615", "bytes"),
        ("none.bin", "0", "none.bin"),
        ("w.bin", "x", "not a number"),
    ] {
        let error = outside(location, offset).unwrap_err();
        assert!(text(&error).contains(words), "{location} {offset}: {error:?}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("w.bin"), inside.join("link.bin")).unwrap();
        assert!(text(&outside("link.bin", "0").unwrap_err()).contains("outside"));
    }
}
