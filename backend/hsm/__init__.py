"""Where keys live: one protocol, a PKCS#11 HSM or the embedded software vault."""
