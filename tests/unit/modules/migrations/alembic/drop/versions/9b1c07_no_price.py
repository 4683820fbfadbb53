"""no price

Revision ID: 9b1c07
Revises: 3f2a91
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9b1c07"
down_revision = "3f2a91"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch_op:
        batch_op.drop_column("unit_price")


def downgrade() -> None:
    op.add_column("orders", sa.Column("unit_price", sa.Numeric(10, 2), nullable=True))
