//! Users are who they say they are, and their secrets stay secret.

mod addresses;
mod cards;
mod levels;
mod passwords;
mod users;

use stanchion::App;
use stanchion::domain::identity::NewUser;
use stanchion::entity::identity::user::Model as User;

/// A user of this name, with an e-mail address.
async fn user(app: &App, name: &str) -> User {
    let email = format!("{name}@example.org").parse().unwrap();
    let new = NewUser { username: Some(name.parse().unwrap()), email: Some(email), ..NewUser::default() };
    app.identity().register(new).await.unwrap()
}
