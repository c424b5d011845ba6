"""Dose grids, CT volumes, RT Ion Plans and their siblings as frozen records; the only reader and writer of DICOM."""
