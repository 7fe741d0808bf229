"""From blocks of stems to what people get: files, previews, waveforms, measurements, a zip."""
