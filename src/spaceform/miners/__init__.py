"""miners"""
