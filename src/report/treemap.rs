//! The layout of a treemap: areas proportional to sizes, shapes as square as possible.
//!
//! Squarified treemaps, as Bruls, Huizing and van Wijk describe them: rectangles are laid side by side along the
//! shorter side of what is left of the frame for as long as that makes the worst of them squarer.
//!
//! # Invariants
//!
//! * Each area is its size's share of the frame, as exactly as `f64` tells.
//! * No two rectangles overlap, and none leaves the frame.

/// A rectangle; `x` grows to the right, `y` downwards.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rectangle {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// From the left edge to the right one.
    pub width: f64,
    /// From the upper edge to the lower one.
    pub height: f64,
}

impl Rectangle {
    /// Width × height.
    pub fn area(self) -> f64 {
        self.width * self.height
    }
}

/// One rectangle for each size, in the order of the sizes. The largest first give the best shapes. A size of 0 gets
/// a rectangle without area.
pub fn squarify(sizes: &[u64], frame: Rectangle) -> Vec<Rectangle> {
    let mut rectangles = Vec::with_capacity(sizes.len());
    let mut left = frame;
    let mut rest = sizes;
    while !rest.is_empty() {
        let count = row_length(rest, left);
        let (row, after) = rest.split_at(count);
        let is_last = sum(after) == 0.0;
        // The last row takes what is left: no rounding lets it leave the frame.
        let share = if is_last { 1.0 } else { sum(row) / sum(rest) };
        left = lay(row, share, left, &mut rectangles);
        rest = after;
    }
    rectangles
}

/// How many of the sizes stand in the first row along the shorter side.
fn row_length(sizes: &[u64], left: Rectangle) -> usize {
    let total = sum(sizes);
    if total == 0.0 || left.area() <= 0.0 {
        return sizes.len();
    }
    let side = left.width.min(left.height);
    let scale = left.area() / total;
    let (mut in_row, mut largest, mut smallest) = (0.0, 0.0_f64, f64::INFINITY);
    let mut worst = f64::INFINITY;
    for (index, &size) in sizes.iter().enumerate() {
        let area = size as f64 * scale;
        (in_row, largest, smallest) = (in_row + area, largest.max(area), smallest.min(area));
        let thickness = in_row / side;
        let squared = thickness * thickness;
        let now = (largest / squared).max(squared / smallest);
        if index > 0 && now > worst {
            return index;
        }
        worst = now;
    }
    sizes.len()
}

/// Lays a row along the shorter side, over this share of what is left; returns what is left.
fn lay(row: &[u64], share: f64, left: Rectangle, rectangles: &mut Vec<Rectangle>) -> Rectangle {
    let total = sum(row);
    let is_column = left.height <= left.width;
    let mut before = 0.0;
    for &size in row {
        // From the sums on both sides, so that neighbours share an edge to the last bit.
        let edge = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
        let (start, end) = (edge(before), edge(before + size as f64));
        before += size as f64;
        rectangles.push(if is_column {
            let (top, bottom) = (left.y + left.height * start, left.y + left.height * end);
            Rectangle { y: top, height: bottom - top, width: left.width * share, ..left }
        } else {
            let (first, last) = (left.x + left.width * start, left.x + left.width * end);
            Rectangle { x: first, width: last - first, height: left.height * share, ..left }
        });
    }
    if is_column {
        let taken = left.width * share;
        Rectangle { x: left.x + taken, width: left.width - taken, ..left }
    } else {
        let taken = left.height * share;
        Rectangle { y: left.y + taken, height: left.height - taken, ..left }
    }
}

fn sum(sizes: &[u64]) -> f64 {
    sizes.iter().map(|&size| size as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Rectangle = Rectangle { x: 5.0, y: 7.0, width: 600.0, height: 400.0 };

    #[test]
    fn the_example_of_the_paper() {
        let frame = Rectangle { x: 0.0, y: 0.0, width: 6.0, height: 4.0 };
        let rectangles = squarify(&[6, 6, 4, 3, 2, 2, 1], frame);
        let rounded = |number: f64| (number * 100.0).round() / 100.0;
        let shown: Vec<[f64; 4]> =
            rectangles.iter().map(|it| [it.x, it.y, it.width, it.height].map(rounded)).collect();
        assert_eq!(shown[0], [0.0, 0.0, 3.0, 2.0]);
        assert_eq!(shown[1], [0.0, 2.0, 3.0, 2.0]);
        assert_eq!(shown[2], [3.0, 0.0, 1.71, 2.33]);
        assert_eq!(shown[3], [4.71, 0.0, 1.29, 2.33]);
    }

    #[test]
    fn nothing_gets_nothing() {
        assert_eq!(squarify(&[], FRAME), []);
        assert!(squarify(&[0, 0], FRAME).iter().all(|it| it.area() == 0.0));
        assert_eq!(squarify(&[9], FRAME), [FRAME]);
        let with_nothing = squarify(&[5, 0, 0], FRAME);
        assert_eq!((with_nothing[0].area(), with_nothing[1].area()), (FRAME.area(), 0.0));
    }

    /// Sizes as stores have them: from nothing to a terabyte, in any order or the largest first.
    fn sizes() -> impl Strategy<Value = Vec<u64>> {
        let size = prop_oneof![Just(0), 1..10_u64, 4096..10_000_000_u64, 1..1_000_000_000_000_u64];
        (proptest::collection::vec(size, 1..120), any::<bool>()).prop_map(|(mut sizes, is_sorted)| {
            if is_sorted {
                sizes.sort_by(|one, other| other.cmp(one));
            }
            sizes
        })
    }

    proptest! {
        #[test]
        fn areas_are_proportional_inside_the_frame_and_apart(
            sizes in sizes(),
            width in 1.0..2000.0_f64,
            height in 1.0..2000.0_f64,
        ) {
            let frame = Rectangle { width, height, ..FRAME };
            let rectangles = squarify(&sizes, frame);
            prop_assert_eq!(rectangles.len(), sizes.len());
            let tolerance = 1e-9 * frame.area();
            let slack = 1e-9 * (width + height);
            let total = sum(&sizes);
            for (rectangle, &size) in rectangles.iter().zip(&sizes) {
                let expected = if total > 0.0 { frame.area() * size as f64 / total } else { 0.0 };
                prop_assert!((rectangle.area() - expected).abs() <= tolerance, "{rectangle:?} {expected}");
                prop_assert!(rectangle.width >= 0.0 && rectangle.height >= 0.0);
                prop_assert!(rectangle.x >= frame.x - slack && rectangle.y >= frame.y - slack);
                prop_assert!(rectangle.x + rectangle.width <= frame.x + width + slack);
                prop_assert!(rectangle.y + rectangle.height <= frame.y + height + slack);
            }
            for (index, one) in rectangles.iter().enumerate() {
                for other in &rectangles[..index] {
                    let across = (one.x + one.width).min(other.x + other.width) - one.x.max(other.x);
                    let down = (one.y + one.height).min(other.y + other.height) - one.y.max(other.y);
                    let overlap = across.max(0.0) * down.max(0.0);
                    prop_assert!(overlap <= tolerance, "{one:?} {other:?}");
                }
            }
        }

        #[test]
        fn equal_sizes_are_near_squares(count in 1..300_usize) {
            for rectangle in squarify(&vec![4096; count], FRAME) {
                let shape = (rectangle.width / rectangle.height).max(rectangle.height / rectangle.width);
                prop_assert!(shape <= 4.0, "{shape}");
            }
        }
    }
}
