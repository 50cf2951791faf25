//! Sums, products and quotients that hold matrices, to one matrix of formulas.

use super::Expr;

/// More cells are not computed with.
const MAX_CELLS: usize = 64;

/// What a formula comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Scalar(Expr),
    Matrix(Vec<Vec<Expr>>),
}

/// Does the matrix algebra of a formula; `None` if sizes do not fit or a matrix stands where none can.
pub(super) fn resolve(expr: &Expr) -> Option<Resolved> {
    if !expr.any(&|part| matches!(part, Expr::Matrix(_))) {
        return Some(Resolved::Scalar(expr.clone()));
    }
    match expr {
        Expr::Matrix(rows) => Some(Resolved::Matrix(rows.clone())),
        Expr::Sum(terms) => {
            let mut terms = terms.iter().map(resolve);
            let first = terms.next()??;
            terms.try_fold(first, |sum, term| add(sum, term?))
        }
        Expr::Product(factors) => {
            let mut factors = factors.iter().map(resolve);
            let first = factors.next()??;
            factors.try_fold(first, |product, factor| multiply(product, factor?))
        }
        Expr::Quotient(a, b) => match (resolve(a)?, resolve(b)?) {
            (Resolved::Matrix(rows), Resolved::Scalar(divisor)) => {
                Some(Resolved::Matrix(map(rows, |cell| {
                    Expr::Quotient(Box::new(cell), Box::new(divisor.clone()))
                })))
            }
            _ => None,
        },
        _ => None,
    }
}

fn map(rows: Vec<Vec<Expr>>, f: impl Fn(Expr) -> Expr) -> Vec<Vec<Expr>> {
    rows.into_iter()
        .map(|row| row.into_iter().map(&f).collect())
        .collect()
}

fn add(a: Resolved, b: Resolved) -> Option<Resolved> {
    let (Resolved::Matrix(a), Resolved::Matrix(b)) = (a, b) else {
        return None;
    };
    if a.len() != b.len() || a[0].len() != b[0].len() {
        return None;
    }
    let rows = a.into_iter().zip(b).map(|(a, b)| {
        let cells = a.into_iter().zip(b);
        cells.map(|(a, b)| Expr::Sum(vec![a, b])).collect()
    });
    Some(Resolved::Matrix(rows.collect()))
}

fn multiply(a: Resolved, b: Resolved) -> Option<Resolved> {
    match (a, b) {
        (Resolved::Scalar(a), Resolved::Scalar(b)) => {
            Some(Resolved::Scalar(Expr::Product(vec![a, b])))
        }
        (Resolved::Scalar(scalar), Resolved::Matrix(rows))
        | (Resolved::Matrix(rows), Resolved::Scalar(scalar)) => {
            Some(Resolved::Matrix(map(rows, |cell| {
                Expr::Product(vec![scalar.clone(), cell])
            })))
        }
        (Resolved::Matrix(a), Resolved::Matrix(b)) => {
            let (n_inner, n_columns) = (b.len(), b[0].len());
            if a[0].len() != n_inner || a.len() * n_inner * n_columns > MAX_CELLS {
                return None;
            }
            let cell = |row: &[Expr], column: usize| {
                let products = row.iter().zip(&b);
                Expr::Sum(
                    products
                        .map(|(x, other)| Expr::Product(vec![x.clone(), other[column].clone()]))
                        .collect(),
                )
            };
            let rows = a.iter().map(|row| {
                (0..n_columns)
                    .map(|column| cell(row, column))
                    .collect::<Vec<_>>()
            });
            let rows: Vec<_> = rows.collect();
            // Products of products grow with every factor.
            let n_nodes: usize = rows.iter().flatten().map(size).sum();
            (n_nodes <= 20_000).then_some(Resolved::Matrix(rows))
        }
    }
}

fn size(expr: &Expr) -> usize {
    1 + match expr {
        Expr::Number(_) | Expr::Variable(_) | Expr::Constant(_) => 0,
        Expr::Sum(parts) | Expr::Product(parts) | Expr::Call(_, parts) => {
            parts.iter().map(size).sum()
        }
        Expr::Quotient(a, b) | Expr::Power(a, b) => size(a) + size(b),
        Expr::Matrix(rows) => rows.iter().flatten().map(size).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::expr::parse;

    fn shape(text: &str) -> Option<(usize, usize)> {
        match resolve(&parse(text)?)? {
            Resolved::Matrix(rows) => Some((rows.len(), rows[0].len())),
            Resolved::Scalar(_) => None,
        }
    }

    #[test]
    fn sizes_have_to_fit() {
        let row = r"\begin{pmatrix} 1 & 2 \end{pmatrix}";
        let column = r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}";
        assert_eq!(shape(&format!(r"\frac{{1}}{{3}} {column}")), Some((2, 1)));
        assert_eq!(shape(&format!("{column}{row}")), Some((2, 2)));
        assert_eq!(shape(&format!("{row}{column}")), Some((1, 1)));
        assert_eq!(shape(&format!("{row}+{row}")), Some((1, 2)));
        assert_eq!(shape(&format!("{row}{row}")), None);
        assert_eq!(shape(&format!("{row}+{column}")), None);
        assert_eq!(shape(&format!("{row}+1")), None);
        assert_eq!(shape(&format!("{row}^2")), None);
    }
}
