"""Trouble from one seed while readings flow, and an account of every reading: `make chaos [FOR=seconds] [SEED=n]`.

`plan` says what is to be played, `troubles` how, `siege` plays it and accounts for every reading, `page` has the live
page watched meanwhile, and `report` says what was wrong.
"""
