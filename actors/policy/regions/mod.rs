//! Sets of requests, computed exactly: which requests a condition matches, and where two sets meet.
//!
//! Every attribute is cut at the constants the rules compare it with; between two cuts all values are alike to every
//! rule. A request is a point in the product of these cells, a condition a union of disjoint boxes. Texts are ordered by
//! their characters, so that a text is one cell, and everything that begins alike lies side by side.
pub mod axis;
pub mod boxes;
pub mod cells;
pub mod space;
