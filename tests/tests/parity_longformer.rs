//! Longformer against logits that transformers computed from the same weights. On the device that
//! `EXTRACOT_TEST_DEVICE` names.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::classifiers::{
    assert_parity, assert_round_trip, assert_shared_parity, cases, largest_difference, load, logits,
};
use common::device::test_device;
use common::fixture;
use extracot_models::longformer::AttentionWindow;
use extracot_models::weights::load_weights;
use extracot_models::{Longformer, LongformerConfig};

#[test]
fn logits_are_those_of_transformers_alone_and_in_a_padded_batch() {
    assert_parity(&fixture("longformer"));
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn logits_are_those_of_the_shared_golden_file() {
    assert_shared_parity("tiny_longformer_tc");
}

#[test]
fn the_global_mask_and_the_window_matter() {
    let folder = fixture("longformer");
    let model = load(&folder);
    let mut case = cases(&folder).remove(1);
    case.is_global.fill(false);
    assert!(largest_difference(&logits(&model, &[&case])[0], &case.logits) > 1e-2);

    let mut config = LongformerConfig::load(&folder).unwrap();
    config.attention_window = AttentionWindow::All(128);
    let wide = Longformer::new(&config, &test_device());
    let wide = load_weights(wide, &folder.join("model.safetensors")).unwrap();
    let case = cases(&folder).remove(1);
    assert!(largest_difference(&logits(&wide, &[&case])[0], &case.logits) > 1e-2);
}

#[test]
fn a_saved_classifier_has_the_names_and_values_it_was_loaded_with() {
    assert_round_trip(&fixture("longformer"));
}
