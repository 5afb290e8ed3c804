//! Stretches of time.

/// Stretches of time in order, none of which touches another: each from its first microsecond to that
/// of its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// All that is in any of these. One without a length is none.
    pub(super) fn of(mut spans: Vec<(i64, i64)>) -> Self {
        spans.retain(|(from, to)| from < to);
        spans.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (from, to) in spans {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    pub(super) fn add(&mut self, more: &Self) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(&more.0);
        *self = Self::of(all);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Option<i64> {
        self.0.last().map(|it| it.1)
    }

    /// How many microseconds they have in all.
    pub(super) fn length(&self) -> i64 {
        self.0.iter().fold(0, |sum, (from, to)| sum.saturating_add(to.saturating_sub(*from)))
    }

    pub(super) fn within(&self, from: i64, to: i64) -> Self {
        let cut = self.0.iter().map(|it| (it.0.max(from), it.1.min(to)));
        Self(cut.filter(|(from, to)| from < to).collect())
    }

    /// What is not in `others`.
    pub(super) fn less(&self, others: &Self) -> Self {
        let mut left = Vec::new();
        let mut others = others.0.iter().peekable();
        for &(mut from, to) in &self.0 {
            while let Some(&&(a, b)) = others.peek() {
                if to <= a {
                    break;
                }
                if from < a {
                    left.push((from, a));
                }
                from = from.max(b);
                if to <= b {
                    break;
                }
                others.next();
            }
            if from < to {
                left.push((from, to));
            }
        }
        Self(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which microseconds are in it.
    fn members(spans: &Spans) -> Vec<i64> {
        spans.0.iter().flat_map(|(from, to)| *from..*to).collect()
    }

    fn any_spans() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((0..60_i64, 0..60_i64), 0..12)
    }

    proptest! {
        #[test]
        fn spans_are_sets_of_microseconds(a in any_spans(), b in any_spans(), c in 0..60_i64, d in 0..60_i64) {
            let is_in = |spans: &[(i64, i64)], at| spans.iter().any(|(from, to)| (*from..*to).contains(&at));
            let set = |in_it: &dyn Fn(i64) -> bool| (0..60).filter(|it| in_it(*it)).collect::<Vec<i64>>();
            let (one, other) = (Spans::of(a.clone()), Spans::of(b.clone()));
            prop_assert_eq!(members(&one), set(&|it| is_in(&a, it)));
            prop_assert!(one.0.windows(2).all(|it| it[0].1 < it[1].0), "{:?}", one);
            prop_assert_eq!(members(&one.less(&other)), set(&|it| is_in(&a, it) && !is_in(&b, it)));
            prop_assert_eq!(members(&one.within(c, d)), set(&|it| is_in(&a, it) && (c..d).contains(&it)));
            prop_assert_eq!(usize::try_from(one.length()), Ok(members(&one).len()));
            let mut sum = one;
            sum.add(&other);
            prop_assert_eq!(members(&sum), set(&|it| is_in(&a, it) || is_in(&b, it)));
        }
    }
}
