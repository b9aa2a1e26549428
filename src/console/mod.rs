//! The admin console: static pages inside the binary that use the same public routes as everybody else. It holds no
//! right of its own: what a key may not do, its console cannot do.
mod pages;

pub use pages::configure;
