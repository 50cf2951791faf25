//! Several samples of one problem.

use super::setting;
use crate::CoreError;

/// Unbiased estimate of the chance that at least one of `k` samples is right, from `n` samples of
/// which `c` are.
///
/// ```text
/// 1 - C(n - c, k) / C(n, k)
/// ```
///
/// # Errors
///
/// [`CoreError::Setting`] unless `c <= n` and `1 <= k <= n`.
///
/// # Examples
///
/// ```
/// // Of the 6 pairs of 4 samples one holds both wrong ones.
/// assert!((extracot_core::stats::pass_at_k(4, 2, 2)? - 5.0 / 6.0).abs() < 1e-15);
/// # Ok::<(), extracot_core::CoreError>(())
/// ```
///
/// # Source
///
/// Chen et al., arXiv 2107.03374, section 2.1.
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Result<f64, CoreError> {
    if c > n {
        return Err(setting("c", c, "at most the number of samples"));
    }
    if k == 0 || k > n {
        return Err(setting("k", k, "from 1 to the number of samples"));
    }
    if n - c < k {
        return Ok(1.0);
    }
    // The quotient of the binomials as a product of c factors, none of which can overflow.
    let all_wrong: f64 = (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Ok(1.0 - all_wrong)
}

/// Whether the answer that most samples of one problem give is right.
///
/// A vote is the key of a sample's answer, equal for equal answers, and whether it is right; `None`
/// is a sample without an answer, which does not vote. Of answers with equally many votes the one
/// given first wins: with votes in the order of the samples this favors neither right nor wrong ones.
/// Whether the winner is right is what its first vote says. Without votes the problem is not solved.
pub fn maj_at_k<K: PartialEq>(votes: &[(Option<K>, bool)]) -> bool {
    let mut answers: Vec<(&K, bool, usize)> = Vec::new();
    for (key, is_correct) in votes {
        let Some(key) = key else { continue };
        match answers.iter_mut().find(|(known, ..)| *known == key) {
            Some((_, _, n_votes)) => *n_votes += 1,
            None => answers.push((key, *is_correct, 1)),
        }
    }
    // `max_by_key` takes the last of equal ones.
    let winner = answers.iter().rev().max_by_key(|(.., n_votes)| *n_votes);
    winner.is_some_and(|(_, is_correct, _)| *is_correct)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::close;
    use super::*;

    #[test]
    fn pass_at_k_by_hand() {
        // 1 - C(7,5) / C(10,5) = 1 - 21 / 252.
        close(pass_at_k(10, 3, 5).unwrap(), 1.0 - 21.0 / 252.0, 1e-15);
        close(pass_at_k(10, 3, 1).unwrap(), 0.3, 1e-15);
        close(pass_at_k(10, 0, 5).unwrap(), 0.0, 0.0);
        close(pass_at_k(10, 6, 5).unwrap(), 1.0, 0.0);
        close(pass_at_k(10, 1, 10).unwrap(), 1.0, 0.0);
        assert!(pass_at_k(3, 4, 1).is_err());
        assert!(pass_at_k(3, 1, 4).is_err());
        assert!(pass_at_k(3, 1, 0).is_err());
    }

    #[test]
    fn the_majority_decides_and_the_first_of_equals() {
        let vote = |key: &'static str| (Some(key), key == "5");
        assert!(maj_at_k(&[vote("3"), vote("5"), vote("5")]));
        assert!(!maj_at_k(&[vote("5"), vote("3"), vote("4"), vote("3")]));
        assert!(maj_at_k(&[vote("5"), vote("3")]));
        assert!(!maj_at_k(&[vote("3"), vote("5")]));
        // Samples without an answer do not vote.
        assert!(maj_at_k(&[(None, false), (None, false), vote("5")]));
        assert!(!maj_at_k::<&str>(&[(None, false)]));
        assert!(!maj_at_k::<&str>(&[]));
    }

    proptest! {
        #[test]
        fn pass_at_k_rises_with_k(n in 1_usize..200, share in 0.0_f64..=1.0) {
            let c = (n as f64 * share) as usize;
            let values: Vec<f64> = (1..=n).map(|k| pass_at_k(n, c, k).unwrap()).collect();
            prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
            prop_assert!((values[0] - c as f64 / n as f64).abs() < 1e-12);
        }
    }
}
