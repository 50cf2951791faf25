//! How a batch is cut into pieces that are computed side by side.

/// Indices of `lengths` in at most `n_shards` pieces of neighbors in length, so cut that the
/// largest piece (rows times its longest row, padding included) is as small as it can be.
///
/// All lengths of a batch stay in one step: sorting whole steps by length instead would make each
/// step see a single level of compression.
pub fn length_shards(lengths: &[usize], n_shards: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&idx| lengths[idx]);
    let n_shards = n_shards.max(1);
    let longest = order.last().map_or(0, |&idx| lengths[idx]);
    let (mut low, mut high) = (longest, longest * lengths.len());
    while low < high {
        let middle = low.midpoint(high);
        if cut(&order, lengths, middle).len() <= n_shards {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    cut(&order, lengths, high)
}

/// Pieces of `order`, each filled as far as `capacity` allows.
fn cut(order: &[usize], lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut shards: Vec<Vec<usize>> = Vec::new();
    for &idx in order {
        match shards.last_mut() {
            Some(shard) if (shard.len() + 1) * lengths[idx] <= capacity => shard.push(idx),
            _ => shards.push(vec![idx]),
        }
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_rows_share_a_piece() {
        // Two pieces: {1 1 1 1} costs 4 and {4} costs 4; any other cut costs more.
        let shards = length_shards(&[1, 4, 1, 1, 1], 2);
        assert_eq!(shards, [vec![0, 2, 3, 4], vec![1]]);
    }

    #[test]
    fn no_rows_no_pieces() {
        assert!(length_shards(&[], 3).is_empty());
    }

    proptest! {
        #[test]
        fn every_row_once_in_few_pieces(
            lengths in prop::collection::vec(1_usize..200, 1..60),
            n_shards in 1_usize..6,
        ) {
            let shards = length_shards(&lengths, n_shards);
            prop_assert!(shards.len() <= n_shards);
            let mut rows: Vec<usize> = shards.concat();
            rows.sort_unstable();
            prop_assert_eq!(rows, (0..lengths.len()).collect::<Vec<_>>());
        }

        #[test]
        fn no_worse_than_equal_row_counts(
            lengths in prop::collection::vec(1_usize..200, 1..60),
            n_shards in 1_usize..6,
        ) {
            let cost = |rows: &[usize]| {
                rows.len() * rows.iter().map(|&idx| lengths[idx]).max().unwrap_or(0)
            };
            let largest = length_shards(&lengths, n_shards).iter().map(|s| cost(s)).max();
            let mut order: Vec<usize> = (0..lengths.len()).collect();
            order.sort_by_key(|&idx| lengths[idx]);
            let even = order.chunks(lengths.len().div_ceil(n_shards)).map(cost).max();
            prop_assert!(largest <= even);
        }
    }
}
