"""What all stages stand on; none of it is public but by what `seqtools` exports."""
