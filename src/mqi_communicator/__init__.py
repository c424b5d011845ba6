"""MQI Communicator: a proton QA case goes from a folder to a verdict."""
