"""Logs of Sumitomo machines: a folder for each delivery, with PlanInfo.txt, PlanRange.txt and two files a layer."""
