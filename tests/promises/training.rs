//! Training: the same seed gives the same weights to the bit, adversarial training buys robustness, checkpoints keep what they hold.

use burn::tensor::Device;
use gauntlet::data::{self, Dataset, Request};
use gauntlet::defence::{TRAINERS, Trainee, train};
use gauntlet::evaluate::record::Epoch;
use gauntlet::model::{self, Blueprint, Classifier, MODELS, Weights};
use gauntlet::options::Options;
use gauntlet::suite::parse_options;

promises! {
    the_same_training_gives_the_same_weights_to_the_bit_and_another_seed_others,
    small_architectures_take_any_image_size_and_start_from_their_seed,
    training_learns_and_pgd_training_learns_robustness,
    a_training_that_diverges_is_reported_with_its_epoch,
    a_checkpoint_gives_back_what_it_was_given,
    a_checkpoint_that_does_not_fit_is_refused_with_every_tensor_at_once,
    an_interrupt_stops_a_training,
}

fn digits(split: &str) -> Dataset {
    data::load("digits", &Request { split: split.parse().unwrap(), ..Request::default() }).unwrap()
}

fn classifier(architecture: &str, options: &str, seed: u64, data: &Dataset) -> Classifier {
    let row = MODELS.iter().find(|row| row.entry.name == architecture).unwrap();
    let options = parse_options(&row.entry, options).unwrap();
    let blueprint = Blueprint { options: &options, shape: data.shape, classes: data.classes };
    Classifier::new(architecture, seed, &blueprint, &Device::flex()).unwrap()
}

fn trained(method: &str, options: &str, seed: u64, data: &Dataset) -> gauntlet::Result<(Classifier, Vec<Epoch>)> {
    let trainer = TRAINERS.iter().find(|row| row.entry.name == method).unwrap();
    let options: Options = parse_options(&trainer.entry, options).unwrap();
    let classifier = classifier("small-cnn", "channels = 8\nhidden = 32", seed, data);
    let device = Device::flex();
    let trainee = Trainee { name: "tested", classifier, seed, trainer, options: &options, data, device: &device };
    train(&trainee, &mut |_| Ok(()))
}

fn the_same_training_gives_the_same_weights_to_the_bit_and_another_seed_others() {
    let data = digits("train").limit(256);
    let hash = |seed| Weights::of(&trained("pgd", "epochs = 1\nsteps = 2\nshare = 0.5", seed, &data).unwrap().0.network).hash();
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}

fn small_architectures_take_any_image_size_and_start_from_their_seed() {
    for shape in [[1, 1, 1], [1, 5, 9], [3, 32, 32], [1, 64, 40]] {
        let features: usize = shape.iter().product();
        let images = (0..2 * features).map(|at| (at % 7) as f32 / 7.0).collect();
        let data = Dataset::new("two", shape, 3, vec![0, 1], images, vec![0, 2]).unwrap();
        for name in ["linear", "mlp", "small-cnn"] {
            let network = classifier(name, "", 5, &data);
            let input = gauntlet::engine::drive::send(&data, &Device::flex());
            let logits: Vec<f32> = network.logits(input).into_data().try_to_vec().unwrap();
            assert_eq!(logits.len(), 6, "{name} on {shape:?}");
            assert!(logits.iter().all(|logit| logit.is_finite()));
            let weights = Weights::of(&network.network);
            assert_eq!(weights, Weights::of(&classifier(name, "", 5, &data).network));
            assert_ne!(weights, Weights::of(&classifier(name, "", 6, &data).network));
        }
    }
}

fn training_learns_and_pgd_training_learns_robustness() {
    let data = digits("train");
    let (_, plain) = trained("standard", "epochs = 8\noptimizer = \"sgd\"\nlearning_rate = 0.1\nschedule = \"cosine\"", 1, &data).unwrap();
    assert_eq!(plain.len(), 8);
    assert!(plain[7].clean_accuracy > 0.9 && plain[7].loss < plain[0].loss, "{plain:?}");
    assert_eq!(plain[7].robust_accuracy, None);
    let (_, robust) = trained("pgd", "epochs = 4\nepsilon = 0.1\nsteps = 3\nlearning_rate = 0.003", 1, &data).unwrap();
    let (first, last) = (robust[0].robust_accuracy.unwrap(), robust[3].robust_accuracy.unwrap());
    assert!(last > first + 0.1 && last < robust[3].clean_accuracy, "{robust:?}");
}

fn a_training_that_diverges_is_reported_with_its_epoch() {
    let data = digits("train").limit(128);
    let error = trained("standard", "epochs = 5\noptimizer = \"sgd\"\nlearning_rate = 100.0", 1, &data).unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("tested") && text.contains("epoch") && text.contains("learning_rate"), "{text}");
}

fn a_checkpoint_gives_back_what_it_was_given() {
    let data = digits("test").limit(4);
    let start = classifier("small-cnn", "", 2, &data);
    let weights = Weights::of(&start.network);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let about = [("defence".to_owned(), "tested".to_owned())];
    std::fs::write(&path, model::write(&weights, about.clone().into()).unwrap()).unwrap();
    let (read, words) = model::read(&path).unwrap();
    assert_eq!((&read, words), (&weights, about.into()));
    let other = classifier("small-cnn", "", 3, &data);
    let loaded = model::load(other.network, &read, "the checkpoint", &Device::flex()).unwrap();
    assert_eq!(Weights::of(&loaded).hash(), weights.hash());
    // Dense weights lie as PyTorch has them: [out, in].
    assert_eq!(weights.0["linear2.weight"].0, [10, 128]);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(format!("{:?}", model::read(&path).unwrap_err()).contains("damaged"));
    std::fs::write(&path, b"not a checkpoint").unwrap();
    assert!(format!("{:?}", model::read(&path).unwrap_err()).contains("neither a safetensors file nor one that torch.save wrote"));
}

fn a_checkpoint_that_does_not_fit_is_refused_with_every_tensor_at_once() {
    let data = digits("test").limit(4);
    let mut weights = Weights::of(&classifier("small-cnn", "hidden = 16", 2, &data).network);
    weights.0.remove("conv1.bias");
    weights.0.insert("extra".into(), (vec![1], vec![0.0]));
    let network = classifier("small-cnn", "", 2, &data).network;
    let text = format!("{:?}", model::load(network, &weights, "the checkpoint", &Device::flex()).unwrap_err());
    for part in ["conv1.bias", "is missing", "\"extra\"", "linear1.weight", "[16, 1024]", "[128, 1024]", "linear2.weight"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

fn an_interrupt_stops_a_training() {
    let data = digits("train").limit(128);
    let trainer = &TRAINERS[0];
    let options = parse_options(&trainer.entry, "epochs = 50").unwrap();
    let classifier = classifier("linear", "", 0, &data);
    let device = Device::flex();
    let trainee = Trainee { name: "tested", classifier, seed: 0, trainer, options: &options, data: &data, device: &device };
    let mut steps = 0;
    let stopped = train(&trainee, &mut |_| {
        steps += 1;
        if steps == 3 { Err(gauntlet::Error::new(gauntlet::error::Kind::Interrupted, "stop")) } else { Ok(()) }
    });
    assert_eq!((stopped.unwrap_err().exit_code(), steps), (3, 3));
}
