"""The frame of the app: header, key bar, help, the dialogs of the whole app, theme and preferences."""
