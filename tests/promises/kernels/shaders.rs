//! What a shader's text says of itself, compared with the Rust side.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::path::Path;

use gauntlet::kernel::row::{self, Row, State};
use gauntlet::kernel::{Element, KERNELS, Kernel, SHARED};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Expression, Literal, Module, Scalar, ScalarKind, StorageAccess, TypeInner};

use super::plain;
use crate::Promise;

pub fn tests() -> Vec<Promise> {
    vec![
        plain("every shader is valid and has one entry point, main, of the table's workgroup size", every_shader_is_valid),
        plain("every binding is read_write and stands in the table's order, the parameters last", bindings_match),
        plain("every struct and every constant of a shader equals its Rust side", layouts_match),
        plain("a kernel's shader and Rust file have its name, and no shader is without a kernel", stems_match),
        plain("a layout that differs in one offset is noticed", a_wrong_layout_is_noticed),
    ]
}

fn parse(kernel: &Kernel) -> Module {
    let source = kernel.source();
    naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{}: {}", kernel.name, error.emit_to_string(&source)))
}

fn every_shader_is_valid() {
    for kernel in KERNELS {
        let module = parse(kernel);
        let result = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
        assert!(result.is_ok(), "{}: {:?}", kernel.name, result.err());
        let names: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["main"], "{}", kernel.name);
        assert_eq!(module.entry_points[0].workgroup_size, [kernel.workgroup, 1, 1], "{}", kernel.name);
        assert_eq!(constants(&module).get("GROUP"), Some(&f64::from(kernel.workgroup)), "{}: GROUP", kernel.name);
    }
}

fn bindings_match() {
    for kernel in KERNELS {
        let module = parse(kernel);
        let mut found = BTreeMap::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding else { continue };
            let AddressSpace::Storage { access } = variable.space else {
                panic!("{}: {:?} is no storage binding", kernel.name, variable.name);
            };
            let name = variable.name.clone().expect("a binding has a name");
            assert_eq!(access, StorageAccess::LOAD | StorageAccess::STORE, "{}: {name} is not read_write", kernel.name);
            assert_eq!(binding.group, 0, "{}: {name}", kernel.name);
            found.insert(binding.binding, (name, element(&module, variable.ty)));
        }
        let found: Vec<(String, String)> = found.into_values().collect();
        let expected: Vec<(String, String)> = kernel
            .bindings
            .iter()
            .map(|binding| (binding.name.to_string(), text(binding.element).to_string()))
            .chain([("parameters".to_string(), "Parameters".to_string())])
            .collect();
        assert_eq!(found, expected, "{}", kernel.name);
    }
}

fn text(element: Element) -> &'static str {
    match element {
        Element::Float => "f32",
        Element::Word | Element::Bits => "i32",
        Element::Row => "Row",
        Element::State => "State",
    }
}

fn element(module: &Module, ty: naga::Handle<naga::Type>) -> String {
    match &module.types[ty].inner {
        TypeInner::Array { base, .. } => element(module, *base),
        TypeInner::Struct { .. } => module.types[ty].name.clone().expect("a struct has a name"),
        TypeInner::Scalar(Scalar { kind: ScalarKind::Float, width: 4 })
        | TypeInner::Vector { scalar: Scalar { kind: ScalarKind::Float, width: 4 }, .. } => "f32".into(),
        TypeInner::Scalar(Scalar { kind: ScalarKind::Sint, width: 4 }) => "i32".into(),
        other => panic!("a binding holds {other:?}"),
    }
}

type Layout = (Vec<(String, usize)>, usize);

/// Fields with their offsets, and the size, of a struct of the shader. A reserved word has an underscore behind it in WGSL.
fn layout(module: &Module, name: &str) -> Option<Layout> {
    module.types.iter().find_map(|(_, ty)| match &ty.inner {
        TypeInner::Struct { members, span } if ty.name.as_deref() == Some(name) => {
            let field = |member: &naga::StructMember| {
                let name = member.name.as_deref().expect("a field has a name");
                (name.trim_end_matches('_').to_string(), member.offset as usize)
            };
            Some((members.iter().map(field).collect(), *span as usize))
        }
        _ => None,
    })
}

fn rust_layout(fields: &[(&str, usize)], size: usize) -> Layout {
    (fields.iter().map(|(name, offset)| (name.to_string(), *offset)).collect(), size)
}

macro_rules! rust_layout {
    ($type:ident { $($field:ident),+ }) => {
        rust_layout(&[$((stringify!($field), offset_of!($type, $field))),+], size_of::<$type>())
    };
}

fn row_layout() -> Layout {
    rust_layout!(Row {
        epsilon,
        step_size,
        steps,
        label,
        target,
        flags,
        start,
        generation,
        key,
        example,
        restart,
        decay,
        counts_from,
        unused
    })
}

fn state_layout() -> Layout {
    rust_layout!(State { generation, status, step, forwards, backwards, prediction, improved, unused, score, best, loss, unused2 })
}

fn layouts_match() {
    let expected: BTreeMap<&str, f64> = [
        ("TARGETED", row::TARGETED),
        ("MARGIN", row::MARGIN),
        ("LAST", row::LAST),
        ("START_ORIGIN", row::START_ORIGIN),
        ("START_RANDOM", row::START_RANDOM),
        ("START_KEPT", row::START_KEPT),
        ("RUNNING", row::RUNNING),
        ("BROKEN", row::BROKEN),
        ("SURVIVED", row::SURVIVED),
        ("FAILED", row::FAILED),
    ]
    .into_iter()
    .map(|(name, value)| (name, f64::from(value)))
    .chain([("LOWEST", f64::from(f32::MIN))])
    .collect();
    let mut structs = 0;
    for kernel in KERNELS {
        let module = parse(kernel);
        let parameters = layout(&module, "Parameters").expect("every kernel has parameters");
        assert_eq!(parameters, rust_layout(kernel.parameters, kernel.parameters_size), "{}: Parameters", kernel.name);
        for (name, rust) in [("Row", row_layout()), ("State", state_layout())] {
            if let Some(wgsl) = layout(&module, name) {
                assert_eq!(wgsl, rust, "{}: {name}", kernel.name);
                structs += 1;
            }
        }
        if layout(&module, "Row").is_some() {
            let found = constants(&module);
            for (name, value) in &expected {
                assert_eq!(found.get(*name), Some(value), "{}: {name}", kernel.name);
            }
        }
    }
    assert!(structs > 2, "Row and State were met in {structs} places only");
}

/// Every constant of a number.
fn constants(module: &Module) -> BTreeMap<String, f64> {
    let value = |constant: &naga::Constant| match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => Some(f64::from(value)),
        Expression::Literal(Literal::F32(value)) => Some(f64::from(value)),
        _ => None,
    };
    module.constants.iter().filter_map(|(_, constant)| Some((constant.name.clone()?, value(constant)?))).collect()
}

fn a_wrong_layout_is_noticed() {
    let module = parse(&KERNELS[KERNELS.iter().position(|kernel| kernel.name == "linf_step").expect("linf_step is a kernel")]);
    let (mut fields, size) = state_layout();
    fields.swap(0, 1);
    assert_ne!(layout(&module, "State"), Some((fields, size)));
    assert_eq!(layout(&module, "State"), Some(state_layout()));
}

fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let path = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("a folder can be listed").path();
    entries
        .map(path)
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("a file has a stem").to_string_lossy().into_owned())
        .collect()
}

fn stems_match() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names: BTreeSet<String> = KERNELS.iter().map(|kernel| kernel.name.to_string()).collect();
    assert_eq!(names.len(), KERNELS.len(), "two kernels share a name");
    assert_eq!(stems(&root.join("shaders"), "wgsl"), names, "shaders/ against KERNELS");
    let kernel_files: BTreeSet<String> = stems(&root.join("src/kernel"), "rs")
        .into_iter()
        .filter(|stem| {
            let text = std::fs::read_to_string(root.join("src/kernel").join(format!("{stem}.rs"))).expect("a source file is readable");
            text.contains("const KERNEL: Kernel")
        })
        .collect();
    assert_eq!(kernel_files, names, "src/kernel/ against KERNELS");
    let shared: BTreeSet<String> = SHARED.iter().map(|(name, _)| name.replace("shared/", "").replace(".wgsl", "")).collect();
    assert_eq!(stems(&root.join("shaders/shared"), "wgsl"), shared, "shaders/shared/ against SHARED");
}
