//! Texts cut into atoms: prose, LaTeX, formulas written as plain text.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use extracot_core::segment;

const KINDS: [&str; 3] = ["prose", "latex", "plain formulas"];
const N_REPEATS: usize = 200;

fn main() {
    divan::main();
}

fn text(kind: &str) -> String {
    let sentence = match kind {
        "prose" => {
            "First, we find out how many of the apples are left after the neighbors came by. "
        }
        "latex" => {
            r"So $\frac{3}{4} \cdot 12 = 9$, and with \(x^2 - 1 = 0\) we have $x \in \{-1, 1\}$. "
        }
        _ => "Then 3 * 4 + 2 = 14, which is 14 / 2 = 7 per child, so x^2 - 49 = 0 and x = 7. ",
    };
    sentence.repeat(N_REPEATS)
}

#[divan::bench(args = KINDS)]
fn atoms(bencher: Bencher<'_, '_>, kind: &str) {
    let text = text(kind);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| segment(black_box(&text)).n_atoms());
}
