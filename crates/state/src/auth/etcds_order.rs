//! The order in which etcd leaves a role's permissions: part of the replicated state, so it has to be the same to the place.
//!
//! etcd appends a new permission and sorts by key with Go's `sort.Sort`, which may exchange permissions of equal keys
//! as soon as there are more than twelve. The order is told to clients, and decides which of them a later grant changes; members
//! that disagreed about it would come to disagree about rights. So this is that sort, step by step: pattern-defeating
//! quicksort (Orson Peters) as Go has had it since 1.19, restated. Held by vectors of Go's own.
//!
//! Never for anything else: where order among equals does not matter, the standard library sorts.

/// Ranges of at most so many are sorted by insertion.
const INSERTION_MAX: usize = 12;
/// From so many on the pivot is chosen among nine.
const NINTHER_MIN: usize = 50;
/// A range as long is worth exchanging elements that stand wrong.
const SHIFTING_MIN: usize = 50;
/// So many elements may stand wrong in a range that is taken for nearly sorted.
const SHIFTS_MAX: usize = 5;
/// Exchanges of a pivot's choice that mean: descending.
const SWAPS_MAX: usize = 12;

/// Sorts as Go's `sort.Sort` does.
pub(crate) fn sort<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    let length = items.len();
    let mut sorting = Sorting { items, is_less };
    sorting.quick(0, length, usize::BITS - length.leading_zeros());
}

struct Sorting<'a, T, F> {
    items: &'a mut [T],
    is_less: F,
}

/// What the elements looked at for a pivot say of the whole.
#[derive(PartialEq)]
enum Hint {
    Unknown,
    Increasing,
    Decreasing,
}

impl<T, F: Fn(&T, &T) -> bool> Sorting<'_, T, F> {
    fn less(&self, a: usize, b: usize) -> bool {
        (self.is_less)(&self.items[a], &self.items[b])
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.items.swap(a, b);
    }

    /// Sorts `[a, b)`; after `limit` bad pivots by heap.
    fn quick(&mut self, mut a: usize, mut b: usize, mut limit: u32) {
        let (mut was_balanced, mut was_partitioned) = (true, true);
        loop {
            let length = b - a;
            if length <= INSERTION_MAX {
                return self.insert(a, b);
            }
            if limit == 0 {
                return self.heap(a, b);
            }
            if !was_balanced {
                self.break_patterns(a, b);
                limit -= 1;
            }
            let (mut pivot, mut hint) = self.pivot(a, b);
            if hint == Hint::Decreasing {
                self.items[a..b].reverse();
                pivot = (b - 1) - (pivot - a);
                hint = Hint::Increasing;
            }
            if was_balanced && was_partitioned && hint == Hint::Increasing && self.insert_few(a, b) {
                return;
            }
            // Nothing is below what stands before: the pivot's equals are done with.
            if a > 0 && !self.less(a - 1, pivot) {
                a = self.partition_equal(a, b, pivot);
                continue;
            }
            let (middle, already) = self.partition(a, b, pivot);
            was_partitioned = already;
            let (left, right, balance) = (middle - a, b - middle, length / 8);
            if left < right {
                was_balanced = left >= balance;
                self.quick(a, middle, limit);
                a = middle + 1;
            } else {
                was_balanced = right >= balance;
                self.quick(middle + 1, b, limit);
                b = middle;
            }
        }
    }

    fn insert(&mut self, a: usize, b: usize) {
        for i in a + 1..b {
            let mut j = i;
            while j > a && self.less(j, j - 1) {
                self.swap(j, j - 1);
                j -= 1;
            }
        }
    }

    /// Puts the few that stand wrong in their places; answers whether all is sorted then.
    fn insert_few(&mut self, a: usize, b: usize) -> bool {
        let mut i = a + 1;
        for _ in 0..SHIFTS_MAX {
            while i < b && !self.less(i, i - 1) {
                i += 1;
            }
            if i == b {
                return true;
            }
            if b - a < SHIFTING_MIN {
                return false;
            }
            self.swap(i, i - 1);
            if i - a >= 2 {
                for j in (1..i).rev() {
                    if !self.less(j, j - 1) {
                        break;
                    }
                    self.swap(j, j - 1);
                }
            }
            if b - i >= 2 {
                for j in i + 1..b {
                    if !self.less(j, j - 1) {
                        break;
                    }
                    self.swap(j, j - 1);
                }
            }
        }
        false
    }

    fn pivot(&self, a: usize, b: usize) -> (usize, Hint) {
        let length = b - a;
        let mut swaps = 0;
        let quarter = length / 4;
        let (mut i, mut j, mut k) = (a + quarter, a + quarter * 2, a + quarter * 3);
        if length >= 8 {
            if length >= NINTHER_MIN {
                i = self.median(i - 1, i, i + 1, &mut swaps);
                j = self.median(j - 1, j, j + 1, &mut swaps);
                k = self.median(k - 1, k, k + 1, &mut swaps);
            }
            j = self.median(i, j, k, &mut swaps);
        }
        match swaps {
            0 => (j, Hint::Increasing),
            SWAPS_MAX => (j, Hint::Decreasing),
            _ => (j, Hint::Unknown),
        }
    }

    fn median(&self, a: usize, b: usize, c: usize, swaps: &mut usize) -> usize {
        let mut ordered = |a: usize, b: usize| {
            let turn = self.less(b, a);
            *swaps += usize::from(turn);
            if turn { (b, a) } else { (a, b) }
        };
        let (a, b) = ordered(a, b);
        let (b, _) = ordered(b, c);
        let (_, b) = ordered(a, b);
        b
    }

    /// What is below the pivot to its left, the rest to its right; answers its place, and whether it was so already.
    fn partition(&mut self, a: usize, b: usize, pivot: usize) -> (usize, bool) {
        self.swap(a, pivot);
        let (mut i, mut j) = (a + 1, b - 1);
        let mut already = true;
        loop {
            while i <= j && self.less(i, a) {
                i += 1;
            }
            while i <= j && !self.less(j, a) {
                j -= 1;
            }
            if i > j {
                self.swap(j, a);
                return (j, already);
            }
            already = false;
            self.swap(i, j);
            i += 1;
            j -= 1;
        }
    }

    /// What equals the pivot to the left, what is above it to the right; answers where that begins.
    fn partition_equal(&mut self, a: usize, b: usize, pivot: usize) -> usize {
        self.swap(a, pivot);
        let (mut i, mut j) = (a + 1, b - 1);
        loop {
            while i <= j && !self.less(a, i) {
                i += 1;
            }
            while i <= j && self.less(a, j) {
                j -= 1;
            }
            if i > j {
                return i;
            }
            self.swap(i, j);
            i += 1;
            j -= 1;
        }
    }

    /// Exchanges three in the middle with others, chosen by the length alone.
    fn break_patterns(&mut self, a: usize, b: usize) {
        let length = b - a;
        if length < 8 {
            return;
        }
        let mut random = length as u64;
        let mask = (1_usize << (usize::BITS - length.leading_zeros())) - 1;
        let middle = a + (length / 4) * 2 - 1;
        for i in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut other = usize::try_from(random & mask as u64).unwrap_or(0);
            if other >= length {
                other -= length;
            }
            self.swap(middle + i, a + other);
        }
    }

    fn heap(&mut self, a: usize, b: usize) {
        let length = b - a;
        for root in (0..length.div_ceil(2)).rev() {
            self.sift(root, length, a);
        }
        for end in (0..length).rev() {
            self.swap(a, a + end);
            self.sift(0, end, a);
        }
    }

    fn sift(&mut self, mut root: usize, end: usize, first: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.less(first + child, first + child + 1) {
                child += 1;
            }
            if !self.less(first + root, first + child) {
                return;
            }
            self.swap(first + root, first + child);
            root = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line of the vectors is what Go made of it: items appended one by one and sorted after each, as etcd does, or
    /// sorted once as they stand; every permutation of equals has to be Go's, or two members keep a role in two orders.
    #[test]
    fn equals_stand_where_go_leaves_them() {
        let mut lines = 0;
        for line in include_str!("../../testdata/go_sort/vectors.txt").lines() {
            let (how, rest) = line.split_once(' ').unwrap();
            let (keys, order) = rest.split_once(" = ").unwrap();
            let keys: Vec<u32> = keys.split(' ').map(|key| key.parse().unwrap()).collect();
            let order: Vec<usize> = order.split(' ').map(|place| place.parse().unwrap()).collect();
            let mut items: Vec<(u32, usize)> = Vec::new();
            for (place, key) in keys.iter().enumerate() {
                items.push((*key, place));
                if how == "grown" {
                    sort(&mut items, |a, b| a.0 < b.0);
                }
            }
            if how == "once" {
                sort(&mut items, |a, b| a.0 < b.0);
            }
            let found: Vec<usize> = items.iter().map(|(_, place)| *place).collect();
            assert_eq!(found, order, "{how} {keys:?}");
            lines += 1;
        }
        assert!(lines > 100, "only {lines} vectors");
    }
}
