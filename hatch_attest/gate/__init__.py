"""The gate: what must hold before an upload, the upload itself, and the proof afterwards."""
