//! Round ticks of an axis.

use super::svg::Axis;
use super::text::number;

/// Ticks at 1, 2 or 5 times a power of ten, with their texts.
pub(super) fn ticks(axis: &Axis<'_>) -> Vec<(f64, String)> {
    let rough = (axis.high - axis.low) / axis.n_ticks.max(1) as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * magnitude)
        .max(axis.min_step);
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let first = (axis.low / step - 1e-6).ceil() as i64;
    let last = (axis.high / step + 1e-6).floor() as i64;
    (first..=last)
        .map(|i| {
            let value = i as f64 * step;
            let text = match i {
                0 if decimals > 4 => "0".into(),
                _ if decimals > 4 || value.abs() >= 1e6 => {
                    // As many digits as it takes to tell neighbors apart.
                    let digits = (value.abs() / step).log10().max(0.0) as usize;
                    format!("{value:.digits$e}")
                }
                _ => number(value, decimals),
            };
            (value, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, n_ticks: usize, min_step: f64) -> Vec<String> {
        let axis = Axis {
            label: "",
            low,
            high,
            n_ticks,
            min_step,
        };
        ticks(&axis).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(0.0, 1.0, 5, 0.0),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts(0.13, 0.61, 3, 0.0), ["0.2", "0.4", "0.6"]);
        assert_eq!(texts(-1.1, 1.1, 2, 0.0), ["0"].map(String::from));
        assert_eq!(texts(0.0, 3.0, 6, 1.0), ["0", "1", "2", "3"]);
        assert_eq!(texts(0.0, 4e-6, 2, 0.0), ["0", "2e-6", "4e-6"]);
        assert_eq!(
            texts(1.8e-6, 2.3e-6, 5, 0.0)[..3],
            ["1.8e-6", "1.9e-6", "2.0e-6"]
        );
    }
}
