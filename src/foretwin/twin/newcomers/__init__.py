"""Machine types that come from an uploaded file: drafted, corrected, built, judged by the gate."""
