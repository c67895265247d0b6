"""What the bytes of an audio file promise, read without a decoder, so that the decoder can be held to it."""
