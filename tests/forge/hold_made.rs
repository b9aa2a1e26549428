//@ E0624
//! A hold is made by the budget only.
use bailiwick_kernel::money::NanoUsd;
use bailiwick_tenant::budget::hold::Hold;

pub fn forge(home: actix_recipient::Home) -> Hold {
    Hold::new(1, NanoUsd(1), Vec::new(), 0, home.0)
}

mod actix_recipient {
    pub struct Home(pub Never);
    pub enum Never {}
}
