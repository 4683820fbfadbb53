"""orders

Revision ID: 3f2a91
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f2a91"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("unit_price", sa.Numeric(10, 2), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("orders")
