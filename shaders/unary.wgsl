// A function of each element of a value, or the way back through it, of images that lie side by side:
//   out_value[e] = f(value[e]), backward out_value[e] = gradient[e] f'(value[e])
// A workgroup makes 256 images of an element: it is bound by memory. NaN stays NaN.
//
// value, gradient, out_value: f32 [vectors, images]. The functions' numbers and their parameters stand in src/kernel/unary.rs; erf is that
// of Abramowitz and Stegun, formula 7.1.26, within 1.5e-7.

//!include shared/float.wgsl
//!include shared/grid.wgsl
//!include shared/lanes.wgsl

const GROUP: u32 = 64u;

struct Parameters {
    quads: u32,
    vectors: u32,
    rows: u32,
    columns: u32,
    function: u32,
    back: u32,
    a: f32,
    b: f32,
    c: f32,
    value: Grid,
    gradient: Grid,
    result: Grid,
}

@group(0) @binding(0) var<storage, read_write> value: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out_value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> parameters: Parameters;

const HALF_ROOT: f32 = 0.70710678;
const TWO_OVER_ROOT_PI: f32 = 1.1283792;
const ROOT_TWO_OVER_PI: f32 = 0.79788456;

fn error_function(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let result = 1.0 - sum * exp(-x * x);
    return select(result, -result, x < 0.0);
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

// log(1 + e^x), which is x in single precision above 20.
fn softplus(x: f32) -> f32 {
    return select(log(1.0 + exp(min(x, 20.0))), x, x > 20.0);
}

// Beyond 15 it is 1 in single precision, and e^x may overflow.
fn bounded_tanh(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}

fn gelu_inner(x: f32) -> f32 {
    return ROOT_TWO_OVER_PI * (x + 0.044715 * x * x * x);
}

fn forward(x: f32) -> f32 {
    let a = parameters.a;
    let b = parameters.b;
    switch parameters.function {
        case 0u: { return select(a * x, x, x > 0.0); }
        case 1u: { return select(a * (exp(min(x, 0.0) / b) - 1.0), parameters.c * x, x > 0.0); }
        case 2u: { return 0.5 * x * (1.0 + error_function(x * HALF_ROOT)); }
        case 3u: { return 0.5 * x * (1.0 + bounded_tanh(gelu_inner(x))); }
        case 4u: { return x * sigmoid(x); }
        case 5u: { return x * bounded_tanh(softplus(x)); }
        case 6u: { return x * clamp(x / 6.0 + 0.5, 0.0, 1.0); }
        case 7u: { return clamp(a * x + b, 0.0, 1.0); }
        case 8u: { return sigmoid(x); }
        case 9u: { return bounded_tanh(x); }
        case 10u: { return softplus(x); }
        case 11u: { return x / (1.0 + abs(x)); }
        case 12u: { return error_function(x); }
        case 13u: { return exp(x); }
        case 14u: { return log(x); }
        case 15u: { return sqrt(x); }
        case 16u: { return abs(x); }
        case 17u: { return 1.0 / x; }
        case 18u: { return sign_of(x); }
        case 19u: { return floor(x); }
        case 20u: { return ceil(x); }
        case 21u: { return round(x); }
        case 22u: { return trunc(x); }
        case 23u: { return sin(x); }
        case 24u: { return cos(x); }
        case 25u: { return clamp(x, a, b); }
        default: { return select(0.0, 1.0, x == 0.0); }
    }
}

fn slope(x: f32) -> f32 {
    let a = parameters.a;
    let b = parameters.b;
    switch parameters.function {
        case 0u: { return select(a, 1.0, x > 0.0); }
        case 1u: { return select(a / b * exp(min(x, 0.0) / b), parameters.c, x > 0.0); }
        case 2u: { return 0.5 * (1.0 + error_function(x * HALF_ROOT)) + x * exp(-0.5 * x * x) * 0.5 * TWO_OVER_ROOT_PI * HALF_ROOT; }
        case 3u: {
            let inner = bounded_tanh(gelu_inner(x));
            return 0.5 * (1.0 + inner) + 0.5 * x * (1.0 - inner * inner) * ROOT_TWO_OVER_PI * (1.0 + 3.0 * 0.044715 * x * x);
        }
        case 4u: { return sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))); }
        case 5u: {
            let inner = bounded_tanh(softplus(x));
            return inner + x * (1.0 - inner * inner) * sigmoid(x);
        }
        case 6u: {
            let inner = x / 6.0 + 0.5;
            return clamp(inner, 0.0, 1.0) + select(0.0, x / 6.0, inner >= 0.0 && inner <= 1.0);
        }
        case 7u: { return select(0.0, a, a * x + b >= 0.0 && a * x + b <= 1.0); }
        case 8u: { return sigmoid(x) * (1.0 - sigmoid(x)); }
        case 9u: {
            let inner = bounded_tanh(x);
            return 1.0 - inner * inner;
        }
        case 10u: { return sigmoid(x); }
        case 11u: { return 1.0 / ((1.0 + abs(x)) * (1.0 + abs(x))); }
        case 12u: { return TWO_OVER_ROOT_PI * exp(-x * x); }
        case 13u: { return exp(x); }
        case 14u: { return 1.0 / x; }
        case 15u: { return 0.5 / sqrt(x); }
        case 16u: { return sign_of(x); }
        case 17u: { return -1.0 / (x * x); }
        case 23u: { return cos(x); }
        case 24u: { return -sin(x); }
        case 25u: { return select(0.0, 1.0, x >= a && x <= b); }
        default: { return 0.0; }
    }
}

// Functions may hide a NaN.
fn one(x: f32, back: f32) -> f32 {
    if magnitude_bits(x) > NOT_FINITE {
        return x;
    }
    if parameters.back != 0u {
        return back * slope(x);
    }
    return forward(x);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group_index(group, groups);
    let parts = (parameters.quads + GROUP - 1u) / GROUP;
    let element = number / parts;
    let quad = number % parts * GROUP + lane;
    if element >= parameters.vectors || quad >= parameters.quads {
        return;
    }
    let channel = element / (parameters.rows * parameters.columns);
    let row = element / parameters.columns % parameters.rows;
    let column = element % parameters.columns;
    let x = value[grid_at(parameters.value, channel, row, column) * parameters.quads + quad];
    var back = vec4<f32>(0.0);
    if parameters.back != 0u {
        back = gradient[grid_at(parameters.gradient, channel, row, column) * parameters.quads + quad];
    }
    let result = vec4<f32>(one(x.x, back.x), one(x.y, back.y), one(x.z, back.z), one(x.w, back.w));
    out_value[grid_at(parameters.result, channel, row, column) * parameters.quads + quad] = result;
}
