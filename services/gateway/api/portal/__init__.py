"""The portal: pages for people. All that they show and do goes through the public API, on behalf of who is signed in."""
