//! Weights that others wrote load as PyTorch loads them, or are refused with everything that does not fit; nothing in them is ever run.

#[path = "weights/hostile.rs"]
pub mod hostile;
#[path = "weights/layers.rs"]
mod layers;
#[path = "weights/zoo.rs"]
mod zoo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use gauntlet::data::{self, Dataset, Request};
use gauntlet::model::source::{Design, design};
use gauntlet::model::weights::{Checkpoint, read, read_bytes};
use gauntlet::model::{Classifier, Weights, load_model};
use gauntlet::options::{Options, Value};
use gauntlet::suite::catalogue::catalogue;
use gauntlet::suite::{ModelSpec, parse_model};
use gauntlet::{Error, Result};

use crate::reference::{npz_array, reference};

promises! {
    [hostile, layers, zoo]
    every_way_in_which_torch_saves_a_network_gives_the_same_numbers,
    a_whole_pickled_module_gives_what_its_state_dict_would,
    half_and_double_precision_become_single,
    safetensors_of_other_precisions_become_single,
    names_that_do_not_fit_are_all_listed_and_order_helps_where_it_can,
    a_normalisation_inside_a_checkpoint_is_never_passed_over,
    reference_checkpoints_give_the_logits_of_pytorch,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

/// A suite's model, with paths from the fixtures' folder.
fn model(text: &str) -> Result<ModelSpec> {
    parse_model(&format!("{{ {text} }}"), &fixture(""), &catalogue())
}

fn designed(text: &str, shape: [usize; 3], classes: usize) -> Result<Design> {
    design(&model(text)?, &fixture(""), shape, classes)
}

/// Logits of images in [0, 1], row-major.
fn logits(classifier: &Classifier, images: &[f32]) -> Vec<f32> {
    let [channels, height, width] = classifier.shape;
    let count = images.len() / classifier.features();
    let images = TensorData::new(images.to_vec(), [count, channels, height, width]);
    classifier.network.forward(Tensor::<4>::from_data(images, &Device::flex())).into_data().try_to_vec().expect("logits are f32")
}

/// Message and help of an error and of all that it gathers.
fn words(error: &Error) -> String {
    format!("{error:?}")
}

/// The network that the fixtures hold: element i of tensor k is (i + k) / 16.
fn ramp() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let shapes: [(&str, &[usize]); 4] = [("0.weight", &[2, 1, 3, 3]), ("0.bias", &[2]), ("3.weight", &[3, 8]), ("3.bias", &[3])];
    let tensors = shapes.iter().enumerate().map(|(k, (name, shape))| {
        let count: usize = shape.iter().product();
        (name.to_string(), (shape.to_vec(), (0..count).map(|i| (i + k) as f32 / 16.0).collect()))
    });
    tensors.collect()
}

const RAMP: &str =
    "layers = [{ kind = 'conv', out = 2, kernel = 3 }, { kind = 'relu' }, { kind = 'flatten' }, { kind = 'dense', out = 3 }]";

fn every_way_in_which_torch_saves_a_network_gives_the_same_numbers() {
    let files = [
        "archive.pt",
        "stream.pt",
        "protocol4.pt",
        "protocol5-stream.pt",
        "nested.pt",
        "prefixed.pt",
        "list.pt",
        "top-list.pt",
        "views.pt",
        "half.pt",
        "bfloat16.pt",
        "double.pt",
    ];
    for file in files {
        let found = designed(&format!("{RAMP}, weights = '{file}'"), [1, 4, 4], 3).unwrap_or_else(|error| panic!("{file}: {error:?}"));
        assert_eq!(found.weights.0, ramp(), "{file}");
    }
    // The names are found in the order of the file, and where they were is told.
    let nested = read(&fixture("nested.pt")).unwrap();
    let names: Vec<&str> = nested.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["0.weight", "0.bias", "3.weight", "3.bias"]);
    assert!(nested.notes[0].contains("[\"state_dict\"]"), "{:?}", nested.notes);
    let listed = read(&fixture("list.pt")).unwrap();
    assert!(listed.notes[0].contains("[\"state_dict\"][0]"), "{:?}", listed.notes);
    let integers = read(&fixture("integers.pt")).unwrap();
    assert_eq!(integers.tensors[3].values, [3.0, 4.0, 5.0]);
    // A file's name says nothing.
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("weights.safetensors");
    std::fs::copy(fixture("stream.pt"), &renamed).unwrap();
    assert_eq!(read(&renamed).unwrap().weights().0, ramp());
}

fn a_whole_pickled_module_gives_what_its_state_dict_would() {
    for file in ["module.pt", "module-stream.pt"] {
        let module = read(&fixture(file)).unwrap();
        let names: Vec<&str> = module.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let block =
            ["conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"];
        // A block under two names is there twice; what is not saved with a state dict is not there.
        let twice = ["block", "again"].iter().flat_map(|name| block.iter().map(move |rest| format!("{name}.{rest}")));
        let expected: Vec<String> = twice.chain(["head.weight".into()]).collect();
        assert_eq!(names, expected, "{file}");
        let ramp = ramp();
        assert_eq!(module.tensors[0].values, ramp["0.weight"].1, "{file}");
        assert_eq!(module.tensors[7].values, ramp["0.weight"].1, "{file}");
        assert_eq!(module.tensors[14].values, ramp["3.weight"].1, "{file}");
        assert!(module.notes[0].contains("__main__.Net"), "{:?}", module.notes);
    }
}

fn half_and_double_precision_become_single() {
    for file in ["half.pt", "bfloat16.pt", "double.pt"] {
        assert_eq!(read(&fixture(file)).unwrap().weights().0, ramp(), "{file}");
    }
}

fn safetensors_of_other_precisions_become_single() {
    use safetensors::tensor::{Dtype, TensorView};
    // 1, -2, 0.5 and the smallest positive number of each type.
    let half: Vec<u8> = [0x3c00u16, 0xc000, 0x3800, 0x0001].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let brain: Vec<u8> = [0x3f80u16, 0xc000, 0x3f00, 0x0001].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let double: Vec<u8> = [1.0f64, -2.0, 0.5, 0.25].iter().flat_map(|value| value.to_le_bytes()).collect();
    let views = [
        ("a", TensorView::new(Dtype::F16, vec![2, 2], &half).unwrap()),
        ("b", TensorView::new(Dtype::BF16, vec![4], &brain).unwrap()),
        ("c", TensorView::new(Dtype::F64, vec![4, 1], &double).unwrap()),
        ("d", TensorView::new(Dtype::U32, vec![1], &double[..4]).unwrap()),
    ];
    let bytes = safetensors::serialize(views, None).unwrap();
    let found = read_bytes(&bytes, "x").unwrap();
    let weights = found.weights().0;
    assert_eq!(weights["a"], (vec![2, 2], vec![1.0, -2.0, 0.5, 2f32.powi(-24)]));
    assert_eq!(weights["b"], (vec![4], vec![1.0, -2.0, 0.5, f32::from_bits(0x0001_0000)]));
    assert_eq!(weights["c"], (vec![4, 1], vec![1.0, -2.0, 0.5, 0.25]));
    assert_eq!(found.unread, [("d".to_string(), "U32".to_string())]);
    // What gauntlet writes comes back, with its words; a bit that fell over is noticed.
    let mut written = gauntlet::model::write(&Weights(ramp()), BTreeMap::from([("defence".into(), "x".into())])).unwrap();
    let back: Checkpoint = read_bytes(&written, "x").unwrap();
    assert_eq!((back.weights().0, back.about.get("defence").map(String::as_str)), (ramp(), Some("x")));
    let last = written.len() - 2;
    written[last] ^= 1;
    assert!(words(&read_bytes(&written, "x").unwrap_err()).contains("damaged"));
}

fn names_that_do_not_fit_are_all_listed_and_order_helps_where_it_can() {
    let renamed = format!("{RAMP}, weights = 'renamed.pt'");
    let error = designed(&renamed, [1, 4, 4], 3).expect_err("other names");
    // Four are missing, four are extra; each with its sides.
    assert_eq!(error.all().len(), 8, "{error:?}");
    let text = words(&error);
    for part in
        ["\"0.weight\" [2, 1, 3, 3] is missing", "\"first.3.w\" [3, 8] is not part", "match = \"order\"", "the file has \"first.0.w\""]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let found = designed(&format!("{renamed}, match = 'order'"), [1, 4, 4], 3).unwrap();
    assert_eq!(found.weights.0, ramp());
    // Another size: what is misshapen is told with both shapes, and order is not offered.
    let larger = RAMP.replace("out = 3", "out = 5");
    let text = words(&designed(&format!("{larger}, weights = 'archive.pt'"), [1, 4, 4], 5).expect_err("other sizes"));
    assert!(
        text.contains("\"3.weight\" is [3, 8], the model wants [5, 8]") && text.contains("\"3.bias\" is [3], the model wants [5]"),
        "{text}"
    );
    assert!(!text.contains("order"), "{text}");
    let text = words(&designed(&format!("{larger}, weights = 'renamed.pt', match = 'order'"), [1, 4, 4], 5).expect_err("other sizes"));
    assert!(text.contains("tensor 2 of the file is \"first.3.w\" [3, 8], the model wants \"3.weight\" [5, 8]"), "{text}");
}

fn a_normalisation_inside_a_checkpoint_is_never_passed_over() {
    let plain = format!("{RAMP}, weights = 'normalised.pt'");
    let text = words(&designed(&plain, [1, 4, 4], 3).expect_err("it normalises"));
    assert!(text.contains("normalize = { mean = [0.2500], std = [0.5000] }"), "{text}");
    let text = words(&designed(&format!("{plain}, normalize = {{ mean = 0.5, std = 0.5 }}"), [1, 4, 4], 3).expect_err("another mean"));
    assert!(text.contains("the suite says"), "{text}");
    let spec = model(&format!("{plain}, normalize = {{ mean = [0.25], std = [0.5] }}")).unwrap();
    let loaded = load_model(&spec, &fixture(""), [1, 4, 4], 3, &Device::flex()).unwrap();
    assert_eq!(loaded.weights.0, ramp());
    // (x - 0.25) / 0.5 reaches the network.
    let bare =
        load_model(&model(&format!("{RAMP}, weights = 'archive.pt'")).unwrap(), &fixture(""), [1, 4, 4], 3, &Device::flex()).unwrap();
    let images: Vec<f32> = (0..16).map(|at| at as f32 / 16.0).collect();
    let shifted: Vec<f32> = images.iter().map(|pixel| (pixel - 0.25) / 0.5).collect();
    close(&logits(&loaded.classifier, &images), &logits(&bare.classifier, &shifted), 1e-5, "normalised");
    assert_ne!(logits(&loaded.classifier, &images), logits(&bare.classifier, &images));
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(
        largest <= tolerance,
        "{what}: logits differ by {largest}: {:?} and {:?}",
        &found[..4.min(found.len())],
        &expected[..4.min(found.len())]
    );
}

fn reference_checkpoints_give_the_logits_of_pytorch() {
    let Some(folder) = reference() else { return };
    const SMALL: &str = "layers = [{ kind = 'conv', out = 16, kernel = 4, stride = 2, padding = PAD }, { kind = 'relu' }, \
        { kind = 'conv', out = 32, kernel = 4, stride = 2, padding = PAD }, { kind = 'relu' }, { kind = 'flatten' }, \
        { kind = 'dense', out = 100 }, { kind = 'relu' }, { kind = 'dense', out = 10 }]";
    let padded = SMALL.replace("PAD", "1");
    let models = [
        ("mnist-lenet5-standard", "pt", "architecture = 'lenet5'".to_string()),
        ("mnist-lenet5-pgd", "pt", "architecture = 'lenet5'".into()),
        ("mnist-cnn-pgd", "pth", padded.clone()),
        ("fashion-cnn-certified", "pth", padded),
        (
            "cifar10-resnet20-standard",
            "th",
            "architecture = 'resnet20', normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }".into(),
        ),
        (
            "cifar10-cnn-pgd",
            "pth",
            format!("{}, normalize = {{ mean = [0.4914, 0.4822, 0.4465], std = [0.2023, 0.1994, 0.2010] }}", SMALL.replace("PAD", "0")),
        ),
    ];
    for (name, ending, text) in models {
        let data = images(&folder.join("logits").join(format!("{name}.npz")));
        let spec = parse_model(&format!("{{ {text}, weights = 'models/{name}.{ending}' }}"), &folder, &catalogue()).unwrap();
        let loaded = load_model(&spec, &folder, data.shape, 10, &Device::flex()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let expected = matrix(&folder.join("logits").join(format!("{name}.npz")), "logits");
        close(&logits(&loaded.classifier, &data.images()), &expected, 1e-4, name);
        close(&logits(&loaded.classifier.frozen(&Device::flex()).unwrap(), &data.images()), &expected, 1e-4, name);
    }
}

fn images(path: &Path) -> Dataset {
    let options = [("path", path.display().to_string()), ("layout", "nchw".into())];
    let options = options.map(|(name, value)| (name.to_string(), Value::Text(value))).into();
    data::load("npz", &Request { options: Options(options), ..Request::default() }).unwrap()
}

/// An array of floats.
fn matrix(path: &Path, key: &str) -> Vec<f32> {
    npz_array(path, key).1
}
