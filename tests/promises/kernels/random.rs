//! The random numbers: the published words, the same on a GPU, and the distributions that are made of them.

use burn::tensor::Device;
use gauntlet::kernel::random::{normals, philox, unit};
use gauntlet::kernel::row::{Row, START_RANDOM, State};
use gauntlet::kernel::{SHARED, distances, random_start, words};
use gauntlet::threat::Norm;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

use super::{adapter, on_gpu, plain};
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    vec![
        plain("Philox gives the words that its authors published", published_words),
        plain("uniform numbers are below 1 and normal numbers are finite at the ends of the range", ends_of_the_range),
        plain("random starts fill their ball evenly", starts_fill_the_ball),
        plain("a row draws the same start in another slot of another batch, and another one for another key, example or restart", keyed),
        on_gpu("on an adapter the random words equal those of the CPU to the bit", words_on_an_adapter),
    ]
}

fn published_words() {
    // Random123 (Salmon et al. 2011), known answers of philox4x32 with 10 rounds.
    assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
    assert_eq!(philox(counter, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
}

fn ends_of_the_range() {
    assert_eq!(unit(0), 0.0);
    assert!(unit(u32::MAX) < 1.0);
    for words in [[0; 4], [u32::MAX; 4], [0, u32::MAX, u32::MAX, 0]] {
        assert!(normals(words).iter().all(|value| value.is_finite()), "{words:?}: {:?}", normals(words));
    }
}

fn row(index: u32, epsilon: f32) -> Row {
    Row { epsilon, start: START_RANDOM, generation: 2, key: [3, 4], example: index, ..bytemuck::Zeroable::zeroed() }
}

fn starts(rows: &[Row], columns: usize, norm: Norm) -> Vec<f32> {
    let device = Device::flex();
    let origin = burn::tensor::Tensor::<2>::full([rows.len(), columns], 0.5, &device);
    let state = vec![State::default(); rows.len()];
    let x = random_start(origin.clone(), origin, words::upload(rows, &device), words::upload(&state, &device), norm, false);
    x.into_data().try_to_vec().expect("floats")
}

fn starts_fill_the_ball() {
    let rows: Vec<Row> = (0..20_000).map(|index| row(index, 0.25)).collect();
    // linf: every element is uniform on [0.25, 0.75): mean 0.5, variance 0.25 / 12.
    let values = starts(&rows, 3, Norm::Linf);
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / values.len() as f64;
    assert!((mean - 0.5).abs() < 0.003, "mean {mean}");
    assert!((variance - 0.25 / 12.0).abs() < 0.0005, "variance {variance}");
    assert!(values.iter().all(|value| (0.25..=0.75).contains(value)));
    // l2: the share of points within half of the radius is 2^-D, and every direction is as likely.
    let values = starts(&rows, 3, Norm::L2);
    let length = |point: &[f32]| point.iter().map(|value| (f64::from(*value) - 0.5).powi(2)).sum::<f64>().sqrt();
    let inner = values.chunks(3).filter(|point| length(point) < 0.125).count() as f64 / rows.len() as f64;
    assert!((inner - 0.125).abs() < 0.01, "share within half of the radius {inner}");
    assert!(values.chunks(3).all(|point| length(point) <= 0.25 + 1e-6));
    for column in 0..3 {
        let mean = values.chunks(3).map(|point| f64::from(point[column])).sum::<f64>() / rows.len() as f64;
        assert!((mean - 0.5).abs() < 0.003, "column {column}: mean {mean}");
    }
    // `distances` says the same of the length.
    let device = Device::flex();
    let x = burn::tensor::Tensor::<2>::from_data(burn::tensor::TensorData::new(values.clone(), [rows.len(), 3]), &device);
    let found: Vec<f32> = distances(x.clone(), x.full_like(0.5)).into_data().try_to_vec().expect("floats");
    for (point, found) in values.chunks(3).zip(found.chunks(4)) {
        assert!((length(point) - f64::from(found[2])).abs() < 1e-6);
    }
}

fn keyed() {
    for norm in [Norm::Linf, Norm::L2] {
        let alone = starts(&[row(7, 0.1)], 37, norm);
        let together = starts(&[row(1, 0.2), row(2, 0.1), row(7, 0.1)], 37, norm);
        assert_eq!(alone, together[2 * 37..]);
        for other in [Row { key: [3, 5], ..row(7, 0.1) }, row(8, 0.1), Row { restart: 1, ..row(7, 0.1) }] {
            assert_ne!(starts(&[other], 37, norm), alone, "{other:?}");
        }
    }
}

/// Runs the shared WGSL by itself, since no kernel gives the words as they are.
fn words_on_an_adapter() {
    const COUNT: u32 = 4096;
    let (_, shared) = SHARED.iter().find(|(name, _)| *name == "shared/random.wgsl").expect("random.wgsl is shared");
    let entry = "
        @group(0) @binding(0) var<storage, read_write> counters: array<vec4<u32>>;
        @group(0) @binding(1) var<storage, read_write> words: array<vec4<u32>>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            words[id.x] = philox(counters[id.x], counters[id.x].wz);
        }";
    let (device, queue) = adapter::raw();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(format!("{shared}{entry}").into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    // Words that carry in every half of a product, and the extremes.
    let counters: Vec<[u32; 4]> = (0..COUNT)
        .map(|index| match index {
            0 => [0; 4],
            1 => [u32::MAX; 4],
            2 => [0xffff, 0x10000, 0xffff_0000, 0x8000_0000],
            _ => philox([index, 0, 0, 0], [0, 0]),
        })
        .collect();
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let contents: &[u8] = bytemuck::cast_slice(&counters);
    let input = device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage });
    let output = device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage });
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let read = device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: input.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(COUNT / 64, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&output, 0, &read, 0, contents.len() as u64);
    queue.submit([encoder.finish()]);
    read.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("a buffer can be mapped"));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
    let view = read.slice(..).get_mapped_range().expect("the buffer is mapped");
    let words: Vec<[u32; 4]> = bytemuck::pod_collect_to_vec(&view);
    for (counter, words) in counters.iter().zip(words) {
        assert_eq!(words, philox(*counter, [counter[3], counter[2]]), "{counter:x?}");
    }
}
