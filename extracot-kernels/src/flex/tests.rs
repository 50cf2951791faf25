//! The fused code against plain tensor operations and finite differences.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{DType, Device, Shape, Tensor, TensorData, s};

use super::simd;
use crate::{VisibleKeys, ops, plain};

/// Numbers in [-2, 2) that look random.
fn numbers<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut state = seed;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695);
            (state >> 40) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect();
    let data = TensorData::new(values, Shape::from(shape));
    Tensor::from_data(data, (&Device::flex(), DType::F32))
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn leaf<const D: usize>(values: &Tensor<D>, device: &Device) -> Tensor<D> {
    Tensor::from_data(values.clone().into_data(), device).require_grad()
}

/// The output, and the gradients by both inputs of its weighted sum: the same with and without gradient
/// checkpointing.
fn run<const D: usize, const E: usize, const F: usize>(
    inputs: &(Tensor<D>, Tensor<E>),
    op: impl Fn(Tensor<D>, Tensor<E>) -> Tensor<F>,
) -> [Vec<f32>; 3] {
    let autodiff = Device::flex().autodiff();
    let [plain, checkpointed] =
        [autodiff.clone(), autodiff.gradient_checkpointing()].map(|device| {
            let first = leaf(&inputs.0, &device);
            let second = leaf(&inputs.1, &device);
            let output = op(first.clone(), second.clone());
            let weights = numbers(77, output.dims()).to_device(&device);
            let grads = (output.clone() * weights).sum().backward();
            let by_second = second.grad(&grads).map(floats).unwrap_or_default();
            [
                floats(output),
                floats(first.grad(&grads).unwrap()),
                by_second,
            ]
        });
    assert_eq!(plain, checkpointed);
    let untracked = floats(op(inputs.0.clone(), inputs.1.clone()));
    for (tracked, untracked) in plain[0].iter().zip(untracked) {
        let bound = 1e-6 * (1.0 + tracked.abs());
        assert!(
            (tracked - untracked).abs() <= bound,
            "{tracked} {untracked}"
        );
    }
    plain
}

fn assert_close(found: &[Vec<f32>; 3], expected: &[Vec<f32>; 3]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let bound = 2e-5 * (1.0 + expected.abs());
            assert!((found - expected).abs() <= bound, "{found} {expected}");
        }
    }
}

/// The slope of the weighted sum of the output along a random direction of the first input, by central
/// differences, against the gradient.
fn assert_slope<const D: usize, const E: usize, const F: usize>(
    inputs: &(Tensor<D>, Tensor<E>),
    op: impl Fn(Tensor<D>, Tensor<E>) -> Tensor<F>,
) {
    const STEP: f32 = 1e-2;
    let direction = numbers(5, inputs.0.dims());
    let at = |step: f32| {
        let output = op(
            inputs.0.clone() + direction.clone() * step,
            inputs.1.clone(),
        );
        let weights = floats(numbers(77, output.dims()));
        let products = floats(output).into_iter().zip(weights);
        products
            .map(|(y, w)| f64::from(y) * f64::from(w))
            .sum::<f64>()
    };
    let found = (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP);
    let by_first = &run(inputs, &op)[1];
    let products = by_first.iter().zip(floats(direction));
    let expected: f64 = products.map(|(g, d)| f64::from(g * d)).sum();
    assert!(
        (found - expected).abs() < 2e-3 * (1.0 + expected.abs()),
        "{found} {expected}"
    );
}

/// A query that sees one key, causal ones, and others.
fn visible(n_rows: usize, n_queries: usize, n_keys: usize) -> VisibleKeys {
    let range = |row: usize, query: usize| match (row + query) % 3 {
        0 => query % n_keys..query % n_keys + 1,
        1 => 0..(query + 1).min(n_keys),
        _ => row % n_keys..n_keys,
    };
    let rows = (0..n_rows).flat_map(|row| (0..n_queries).map(move |query| range(row, query)));
    VisibleKeys::new(n_queries, rows.collect())
}

#[test]
fn the_sigmoid_ends_at_0_and_1() {
    assert_eq!((simd::sigmoid(200.0), simd::sigmoid(-200.0)), (1.0, 0.0));
}

#[test]
fn silu_gate_is_the_composition() {
    for shape in [[1, 1, 1], [2, 3, 37], [3, 50, 101]] {
        let inputs = (numbers(1, shape) * 4.0, numbers(2, shape));
        assert_close(
            &run(&inputs, ops::silu_gate),
            &run(&inputs, plain::silu_gate),
        );
        let turned = |gate: Tensor<3>, up: Tensor<3>| (gate.swap_dims(0, 2), up.swap_dims(0, 2));
        let found = run(&inputs, |gate, up| {
            let (gate, up) = turned(gate, up);
            ops::silu_gate(gate, up)
        });
        let expected = run(&inputs, |gate, up| {
            let (gate, up) = turned(gate, up);
            plain::silu_gate(gate, up)
        });
        assert_close(&found, &expected);
    }
    assert_slope(
        &(numbers(1, [2, 3, 5]), numbers(2, [2, 3, 5])),
        ops::silu_gate,
    );
}

#[test]
fn rms_norm_is_the_composition() {
    let fused = |x: Tensor<3>, gamma: Tensor<1>| ops::rms_norm(x, gamma, 1e-6);
    let composed = |x: Tensor<3>, gamma: Tensor<1>| plain::rms_norm(x, gamma, 1e-6);
    for shape in [[1, 1, 1], [1, 1, 24], [2, 3, 37], [2, 500, 96]] {
        let inputs = (numbers(1, shape), numbers(2, [shape[2]]));
        assert_close(&run(&inputs, fused), &run(&inputs, composed));
    }
    let inputs = (numbers(1, [5, 7, 9]), numbers(2, [5]));
    let found = run(&inputs, |x, gamma| fused(x.swap_dims(0, 2), gamma));
    let expected = run(&inputs, |x, gamma| composed(x.swap_dims(0, 2), gamma));
    assert_close(&found, &expected);
    assert_slope(&(numbers(1, [2, 3, 5]), numbers(2, [5])), fused);
}

#[test]
fn linear_is_the_composition() {
    for (shape, d_output) in [([1, 1, 1], 1), ([2, 3, 37], 5), ([1, 70, 96], 288)] {
        let inputs = (numbers(1, shape), numbers(2, [shape[2], d_output]));
        assert_close(&run(&inputs, ops::linear), &run(&inputs, plain::linear));
        let transposed = (inputs.0, numbers(2, [d_output, shape[2]]));
        let found = run(&transposed, |x, weight| ops::linear(x, weight.transpose()));
        let expected = run(&transposed, |x, weight| {
            plain::linear(x, weight.transpose())
        });
        assert_close(&found, &expected);
    }
    let inputs = (numbers(1, [7, 5, 3]), numbers(2, [7, 4]));
    let found = run(&inputs, |x, weight| {
        ops::linear(x.swap_dims(0, 2), weight.flip([0]))
    });
    let expected = run(&inputs, |x, weight| {
        plain::linear(x.swap_dims(0, 2), weight.flip([0]))
    });
    assert_close(&found, &expected);
    assert_slope(&(numbers(1, [2, 3, 5]), numbers(2, [5, 4])), ops::linear);
}

#[test]
fn a_transposed_weight_gets_its_gradient_in_its_own_memory_order() {
    let device = Device::flex().autodiff();
    let weight = leaf(&numbers(2, [6, 3]), &device);
    let x = leaf(&numbers(1, [4, 3]), &device);
    let grads = ops::linear(x, weight.clone().transpose()).sum().backward();
    let grad = weight.grad(&grads).unwrap();
    assert_eq!(grad.dims(), [6, 3]);
}

#[test]
fn attention_is_the_composition() {
    for (q, [n_kv_heads, n_keys], n_rows) in [
        ([1, 1, 1, 1], [1, 1], 1),
        ([2, 4, 1, 24], [2, 33], 2),
        ([2, 6, 5, 3], [2, 7], 1),
        ([2, 2, 130, 8], [1, 131], 2),
    ] {
        let [batch, _, n_queries, head_dim] = q;
        let visible = visible(n_rows, n_queries, n_keys);
        let keys = numbers(2, [batch, n_kv_heads, n_keys, head_dim]);
        let values = numbers(3, [batch, n_kv_heads, n_keys, head_dim]);
        let queries = numbers(1, q);
        // By queries and keys, then by queries and values in the order of a projection, then with keys in
        // the order of a cache.
        let inputs = (queries.clone(), keys.clone());
        let found = run(&inputs, |q, k| {
            ops::attention(q, k, values.clone(), &visible)
        });
        let expected = run(&inputs, |q, k| {
            plain::attention(q, k, values.clone(), &visible)
        });
        assert_close(&found, &expected);
        assert_slope(&inputs, |q, k| {
            ops::attention(q, k, values.clone(), &visible)
        });
        let inputs = (queries.clone(), values.clone().swap_dims(1, 2));
        let mixed = |q, v: Tensor<4>| ops::attention(q, keys.clone(), v.swap_dims(1, 2), &visible);
        let composed =
            |q, v: Tensor<4>| plain::attention(q, keys.clone(), v.swap_dims(1, 2), &visible);
        assert_close(&run(&inputs, mixed), &run(&inputs, composed));
        let inputs = (queries.swap_dims(1, 2), keys.clone().swap_dims(2, 3));
        let scored = |q: Tensor<4>, k: Tensor<4>| (q.swap_dims(1, 2), k.swap_dims(2, 3));
        let found = run(&inputs, |q, k| {
            let (q, k) = scored(q, k);
            ops::attention(q, k, values.clone(), &visible)
        });
        let expected = run(&inputs, |q, k| {
            let (q, k) = scored(q, k);
            plain::attention(q, k, values.clone(), &visible)
        });
        assert_close(&found, &expected);
    }
}

#[test]
fn what_a_query_may_not_look_at_changes_nothing() {
    let (q, k) = (numbers(1, [1, 2, 3, 4]), numbers(2, [1, 1, 3, 4]));
    let mixed = |v: Tensor<4>, k: Tensor<4>| {
        floats(ops::attention(q.clone(), k, v, &VisibleKeys::causal(3)))
    };
    let hidden = |value: f32| {
        let last = Tensor::full([1, 1, 1, 4], value, &Device::flex());
        Tensor::cat(vec![k.clone().narrow(2, 0, 2), last], 2)
    };
    let found = mixed(hidden(9.0), hidden(-50.0));
    let expected = mixed(k.clone(), k.clone());
    // Two heads of two queries that do not see the last key.
    assert_eq!(found[..16], expected[..16]);
    assert_ne!(found[16..], expected[16..]);
    // Scores beyond any range of the exponential.
    let far = mixed(k.clone(), k.clone() * 1e5);
    assert!(far.iter().all(|value| value.is_finite()));
}

#[test]
fn rotate_heads_is_the_composition() {
    for (shape, rows) in [([1, 1, 1, 2], 1), ([2, 5, 3, 24], 1), ([3, 40, 2, 6], 3)] {
        let [_, seq, _, head_dim] = shape;
        let half = numbers(2, [rows, 1, seq, head_dim / 2]);
        let cos = Tensor::cat(vec![half.clone(), half], 3);
        let sin = cos.clone() * 0.5 + 0.1;
        let fused = |x: Tensor<4>, cos: Tensor<4>| ops::rotate_heads(x, cos, sin.clone(), 0.3);
        let composed =
            |x: Tensor<4>, cos: Tensor<4>| plain::rotate_heads(x, cos.detach(), sin.clone(), 0.3);
        let inputs = (numbers(1, shape), cos.clone());
        let expected = run(&inputs, composed);
        let expected = [expected[0].clone(), expected[1].clone(), vec![]];
        assert_close(&run(&inputs, fused), &expected);
        assert_slope(&inputs, fused);
        let turned = numbers(1, [seq, shape[0], shape[2], head_dim]);
        let found = run(&(turned.clone(), cos.clone()), |x, cos| {
            fused(x.swap_dims(0, 1), cos)
        });
        let expected = run(&(turned, cos), |x, cos| composed(x.swap_dims(0, 1), cos));
        assert_close(&found, &[expected[0].clone(), expected[1].clone(), vec![]]);
    }
}

#[test]
fn target_logprobs_is_the_composition() {
    for [n_rows, vocab] in [[1, 1], [1, 704], [7, 5], [300, 33]] {
        let targets: Vec<i32> = (0..n_rows).map(|row| (row * 7 % vocab) as i32).collect();
        let inputs = (numbers(1, [n_rows, vocab]) * 20.0, numbers(1, [1]));
        let found = run(&inputs, |logits, _| ops::target_logprobs(logits, &targets));
        let expected = run(&inputs, |logits, _| {
            plain::target_logprobs(logits, &targets)
        });
        assert_close(&found, &expected);
        let turned = (inputs.0.transpose(), inputs.1);
        let found = run(&turned, |logits, _| {
            ops::target_logprobs(logits.transpose(), &targets)
        });
        assert_close(
            &found,
            &run(&turned, |logits, _| {
                plain::target_logprobs(logits.transpose(), &targets)
            }),
        );
    }
    let inputs = (numbers(1, [3, 5]), numbers(1, [1]));
    assert_slope(&inputs, |logits, _| {
        ops::target_logprobs(logits, &[4, 0, 2])
    });
}

#[test]
fn inputs_that_are_held_elsewhere_stay_as_they_are() {
    let (a, b) = (numbers(1, [1, 1, 4, 6]), numbers(2, [1, 1, 4, 6]));
    let before = floats(a.clone());
    drop(ops::silu_gate(a.clone(), b.clone()));
    drop(ops::rms_norm(
        a.clone(),
        Tensor::ones([6], &Device::flex()),
        1e-6,
    ));
    drop(ops::attention(
        a.clone(),
        a.clone(),
        b,
        &VisibleKeys::causal(4),
    ));
    // A part of a larger tensor.
    drop(ops::silu_gate(
        a.clone().narrow(2, 0, 2),
        a.clone().narrow(2, 2, 2),
    ));
    assert_eq!(floats(a), before);
}

#[test]
fn a_row_of_inference_does_not_depend_on_those_beside_it() {
    // More inner values than `gemm` adds in one chain and fewer, down to one; weights in rows and in columns, large
    // and small; one column; columns with a step.
    let rows = |k: usize, n: usize| numbers::<2>(2, [k, n]).inner();
    let columns = |k: usize, n: usize| rows(n, k).transpose();
    let steps = |k: usize, n: usize| rows(k, 2 * n).slice(s![.., 0..;2]);
    let bits = |tensor: Tensor<2>| floats(tensor).into_iter().map(f32::to_bits);
    for (weight, least_rows) in [
        (rows(1200, 120), 1),
        (columns(1200, 120), 1),
        (columns(1200, 12), 1),
        (rows(500, 1), 1),
        (rows(1200, 1), 1),
        (columns(500, 1), 1),
        (columns(96, 12), 1),
        (columns(96, 100), 1),
        (rows(96, 288), 1),
        (rows(512, 40), 1),
        (rows(2, 5), 1),
        (rows(1, 5), 1),
        (steps(1200, 40), 1),
        // Where a row alone is the exception that is documented.
        (columns(96, 704), 2),
    ] {
        let [k, n] = weight.dims();
        let x = numbers::<2>(1, [130, k]).inner();
        let all: Vec<u32> = bits(ops::linear(x.clone(), weight.clone())).collect();
        for n_rows in [1, 2, 21, 22, 40, 64, 65]
            .into_iter()
            .filter(|n| *n >= least_rows)
        {
            let some = ops::linear(x.clone().narrow(0, 0, n_rows), weight.clone());
            assert!(
                bits(some).eq(all[..n_rows * n].iter().copied()),
                "{n_rows} rows, {k} x {n}"
            );
        }
    }
}

#[test]
fn products_without_inner_values_are_zero() {
    let inputs = (numbers(1, [5, 0]), numbers(2, [0, 3]));
    let found = run(&inputs, ops::linear);
    let expected = run(&inputs, plain::linear);
    assert_eq!(found, expected);
    let none = ops::linear(numbers::<2>(1, [0, 4]), numbers(2, [4, 3]));
    assert_eq!(none.dims(), [0, 3]);
}

#[test]
fn what_is_new_is_written_where_it_belongs_and_what_others_hold_is_spared() {
    let cache_of = |shape: [usize; 4]| {
        let keys = numbers::<4>(1, shape).inner();
        [
            keys.clone(),
            numbers(3, shape).inner().swap_dims(2, 3) * 1.0,
        ]
    };
    let all = |cache: [Tensor<4>; 2]| cache.map(floats);
    for (shape, n_new, start) in [
        ([3, 2, 8, 32], 1, 0),
        ([3, 2, 8, 32], 1, 31),
        ([2, 1, 5, 7], 3, 2),
        ([40, 4, 64, 32], 1, 9),
        ([2, 2, 4, 6], 0, 6),
    ] {
        let [batch, n_heads, head_dim, _] = shape;
        let cache = cache_of(shape);
        // As a projection gives them.
        let new = [2, 4].map(|seed| {
            let new = numbers::<4>(seed, [batch, n_new, n_heads, head_dim]);
            new.inner().swap_dims(1, 2)
        });
        let expected = all(plain::write_to_cache(cache.clone(), new.clone(), start));
        let before = all(cache.clone());
        let held = crate::write_to_cache(cache.clone(), new.clone(), start);
        assert_eq!(all(held), expected, "{shape:?}");
        assert_eq!(all(cache.clone()), before);
        let own = crate::write_to_cache(cache, new.map(|new| new * 1.0), start);
        assert_eq!(all(own), expected, "{shape:?}");
    }
    let full = std::panic::catch_unwind(|| {
        let new = || numbers::<4>(1, [1, 1, 4, 2]).inner();
        crate::write_to_cache(cache_of([1, 1, 2, 4]), [new(), new()], 1)
    });
    assert!(full.is_err());
}

#[test]
fn results_are_the_same_bytes_on_one_and_two_threads() {
    let all = || {
        let wide = [2, 600, 224];
        let pair = (numbers(1, wide), numbers(2, wide));
        let queries = (numbers(1, [5, 4, 130, 8]), numbers(2, [5, 2, 131, 8]));
        let values = numbers(3, [5, 2, 131, 8]);
        let seen = visible(1, 130, 131);
        let angles = numbers(2, [1, 1, 300, 24]);
        let heads = (numbers(1, [6, 300, 4, 24]), angles.clone());
        let logits = (numbers(1, [400, 500]), numbers(1, [1]));
        [
            run(&pair, ops::silu_gate),
            run(&(numbers(1, wide), numbers(2, [224])), |x, g| {
                ops::rms_norm(x, g, 1e-6)
            }),
            run(&queries, |q, k| ops::attention(q, k, values.clone(), &seen)),
            run(
                &(numbers(1, [2, 512, 160]), numbers(2, [160, 320])),
                ops::linear,
            ),
            // Few rows: weights in rows and in columns, as many as the threads share.
            run(
                &(numbers(1, [1, 8, 256]), numbers(2, [256, 600])),
                ops::linear,
            ),
            run(
                &(numbers(1, [1, 8, 256]), numbers(2, [600, 256])),
                |x, w| ops::linear(x, w.transpose()),
            ),
            run(
                &(numbers(1, [1, 40, 256]), numbers(2, [256, 600])),
                ops::linear,
            ),
            run(
                &(numbers(1, [1, 40, 256]), numbers(2, [600, 256])),
                |x, w| ops::linear(x, w.transpose()),
            ),
            run(&heads, |x, cos| {
                ops::rotate_heads(x, cos, angles.clone(), 1.0)
            }),
            run(&logits, |logits, _| ops::target_logprobs(logits, &[3; 400])),
        ]
    };
    // One query of every row behind a cache, without gradients.
    let decoded = || {
        let q = numbers::<4>(1, [64, 4, 1, 32]).inner();
        let k = numbers::<4>(2, [64, 2, 32, 96]).inner().swap_dims(2, 3);
        let v = numbers::<4>(3, [64, 2, 96, 32]).inner();
        let seen = VisibleKeys::new(1, (0..64).map(|row| row / 2..row + 30).collect());
        let mixed = ops::attention(q.clone(), k.clone(), v.clone(), &seen);
        let plain = plain::attention(q, k, v, &seen);
        let (mixed, plain) = (floats(mixed), floats(plain));
        let cache = [[64, 2, 32, 96], [64, 2, 96, 32]].map(|shape| numbers::<4>(4, shape).inner());
        let new = [5, 6].map(|seed| numbers::<4>(seed, [64, 2, 1, 32]).inner());
        let written = crate::write_to_cache(cache, new, 40).map(floats);
        let moved = mixed.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        assert!(moved.fold(0.0, f32::max) < 1e-5);
        (mixed, written)
    };
    let [one, two] = [1, 2].map(|n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        pool.build().unwrap().install(|| (all(), decoded()))
    });
    assert!(one == two);
}

#[test]
fn nan_and_infinity_are_not_hidden() {
    let bad = |value: f32| {
        let mut values = floats(numbers(1, [1, 1, 2, 20]));
        values[3] = value;
        Tensor::<4>::from_data(TensorData::new(values, [1, 1, 2, 20]), &Device::flex())
    };
    let zeros = Tensor::<4>::zeros([1, 1, 2, 20], &Device::flex());
    let n_nan = |values: Vec<f32>| values.iter().filter(|value| value.is_nan()).count();
    let nan = || bad(f32::NAN);
    assert_eq!(n_nan(floats(ops::silu_gate(nan(), nan()))), 1);
    assert_eq!(
        n_nan(floats(ops::rms_norm(
            nan(),
            Tensor::ones([20], &Device::flex()),
            1e-6
        ))),
        20
    );
    // Both queries see the key that is bad, each once.
    for value in [f32::NAN, f32::INFINITY] {
        let seen = VisibleKeys::new(2, vec![0..1, 0..2]);
        let mixed = ops::attention(zeros.clone() + 1.0, bad(value), zeros.clone(), &seen);
        assert_eq!(n_nan(floats(mixed)), 40);
    }
    let product = ops::linear(
        nan().reshape([2, 20]),
        Tensor::ones([20, 3], &Device::flex()),
    );
    assert_eq!(n_nan(floats(product)), 3);
    let ones = zeros.ones_like();
    let angles = ones.narrow(2, 0, 1);
    let turned = ops::rotate_heads(nan(), angles.clone(), angles, 1.0);
    assert_eq!(n_nan(floats(turned)), 2);
    let logprobs = ops::target_logprobs(nan().reshape([2, 20]), &[0, 0]);
    assert_eq!(n_nan(floats(logprobs)), 1);
}

#[test]
fn other_dtypes_are_composed() {
    let x = numbers(1, [2, 5]).cast(DType::F64);
    let found = ops::silu_gate(x.clone(), x.clone());
    assert_eq!(found.dtype(), DType::F64);
    assert_eq!(
        found.into_data(),
        plain::silu_gate(x.clone(), x).into_data()
    );
}

#[test]
fn a_step_of_adamw_gives_the_bytes_of_tensor_operations_and_spares_what_others_hold() {
    let step = crate::AdamWStep {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        correction_1: 0.271,
        correction_2: 0.002_997,
        kept: 0.99,
        rate: 0.01,
    };
    for shape in [[1, 1], [3, 7], [9, 1025], [300, 500]] {
        let [weights, grad, first, root] = [1, 2, 3, 4].map(|seed| numbers(seed, shape));
        let second = root.square();
        let before = floats(weights.clone());
        let found = crate::adamw(
            weights.clone(),
            grad.clone(),
            [first.clone(), second.clone()],
            step,
        );
        assert_eq!(floats(weights.clone()), before);
        let expected = plain::adamw(weights, grad, [first, second], step);
        let all = |(weights, [first, second]): (Tensor<2>, [Tensor<2>; 2])| {
            [weights, first, second].map(floats)
        };
        assert_eq!(all(found), all(expected), "{shape:?}");
    }
    // By hand: m = 0.9 * 2 + 0.1 * 1, v = 0.999 * 4 + 0.001, w = 0.99 - 0.01 (1.9 / 0.271) / sqrt(3.997 / 0.002997).
    let one = |value: f32| Tensor::<1>::from_data([value], &Device::flex());
    let (weight, [first, second]) = crate::adamw(one(1.0), one(1.0), [one(2.0), one(4.0)], step);
    let found = [weight, first, second].map(|tensor| floats(tensor)[0]);
    for (found, expected) in found.iter().zip([0.988_080_2, 1.9, 3.997]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}
