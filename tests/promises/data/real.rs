//! The files that users have: MNIST, Fashion-MNIST and archives of them, where the reference folder is there.

use gauntlet::data::{Dataset, load};

use super::super::reference::reference;
use super::{ask, says, text};

promises! {
    the_real_mnist_and_fashion_mnist_files_are_read_whole,
    the_real_archives_hold_what_the_idx_files_hold,
}

fn the_real_mnist_and_fashion_mnist_files_are_read_whole() {
    let Some(folder) = reference() else { return };
    let idx = |name: &str, split: &str| load("idx", &ask(split, &[("path", text(folder.join("data").join(name)))])).unwrap();
    let counts =
        |set: &Dataset| -> Vec<usize> { (0..10).map(|class| set.labels.iter().filter(|&&label| label == class).count()).collect() };
    let mnist = idx("mnist", "test");
    assert_eq!((mnist.len(), mnist.shape, mnist.classes, mnist.labels[0]), (10_000, [1, 28, 28], 10, 7));
    assert_eq!(counts(&mnist), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(mnist.name, "mnist, test");
    let (train, test) = (idx("fashion-mnist", "train"), idx("fashion-mnist", "test"));
    assert_eq!((train.len(), counts(&train)), (60_000, vec![6000; 10]));
    assert_eq!((test.len(), counts(&test)), (10_000, vec![1000; 10]));
    says(load("idx", &ask("train", &[("path", text(folder.join("data/mnist")))])), &["train-images-idx3-ubyte"]);
}

fn the_real_archives_hold_what_the_idx_files_hold() {
    let Some(folder) = reference() else { return };
    let npz = |name: &str, split: &str| load("npz", &ask(split, &[("path", text(folder.join("data").join(name)))])).unwrap();
    for (archive, idx) in [("mnist-1000.npz", "mnist"), ("fashion-1000.npz", "fashion-mnist")] {
        let packed = npz(archive, "all");
        let files = load("idx", &ask("test", &[("path", text(folder.join("data").join(idx)))])).unwrap().limit(1000);
        assert_eq!((packed.classes, &packed.hash), (10, &files.hash), "{archive}");
    }
    let cifar = npz("cifar10-300.npz", "..100");
    assert_eq!((cifar.len(), cifar.shape, cifar.classes), (100, [3, 32, 32], 10));
    assert_eq!(npz("cifar10-jpeg-1000.npz", "900..").ids, (900..1000).collect::<Vec<_>>());
}
