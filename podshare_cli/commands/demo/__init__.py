"""The demo: podshare's main job on the example records, in a sandbox, with every claim put to the test."""
