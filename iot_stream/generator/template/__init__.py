"""The template language of the Kinesis Data Generator: text with helpers such as `{{random.number(50)}}`."""
