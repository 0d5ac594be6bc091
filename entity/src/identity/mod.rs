//! Identity: users, their profiles and addresses, and how their levels changed.

pub mod user;
pub mod user_address;
pub mod user_level_change;
pub mod user_profile;

use crate::words;

words! {
    /// How high a user stands, from the lowest to the highest.
    pub enum UserLevel {
        /// Anyone.
        Normal = "normal",
        /// A VIP.
        Vip = "vip",
        /// One star.
        Star1 = "star_1",
        /// Two stars.
        Star2 = "star_2",
        /// Three stars.
        Star3 = "star_3",
        /// Four stars.
        Star4 = "star_4",
        /// Five stars.
        Star5 = "star_5",
        /// A director.
        Director = "director",
    }
}

words! {
    /// A user's gender, as they state it.
    pub enum Gender {
        /// Not stated.
        Unknown = "unknown",
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
    }
}
