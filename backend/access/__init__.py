"""Who is calling: relying parties' tokens, phones' request proofs."""
