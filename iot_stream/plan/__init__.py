"""Plan: how large the stream, the function, the delivery stream and the domain must be for a fleet, and what it costs.

workload    what is asked, and the figures that a benchmark can replace
needs       what each step of the flow needs (pure formulas, each with its source)
data_nodes  the domain's nodes for what the index needs
planner     the number of stacks, the template's parameters, and the limits that are crossed
cost        a month's usage priced by a dated table
report      the table and the JSON
"""
